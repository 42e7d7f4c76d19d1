"""The book keeps the last lines, within bounds, and what it gives always fits into one message."""

import logging
from collections.abc import Iterator

import pytest

from broker.codec import encode_response
from broker.messages import LogsResponse
from gadget.logs import LogBook, start_log_book


@pytest.fixture
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("_root_logger_as_before")
def test_a_line_carries_its_fields_in_the_book_and_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    book = start_log_book()
    logging.getLogger("gadget.x").info("session is live", extra={"interface": 0})
    (line,) = book.last_lines(10)
    assert line.endswith("INFO gadget.x: session is live interface=0")
    assert line in capsys.readouterr().err


def fill(book: LogBook, count: int, text: str) -> None:
    for number in range(count):
        book.emit(logging.makeLogRecord({"msg": f"{number} {text}", "levelname": "INFO"}))


def test_the_book_keeps_the_last_thousand_lines() -> None:
    book = LogBook()
    fill(book, 1200, "x")
    lines = book.last_lines(5000)
    assert len(lines) == 1000
    assert "200 x" in lines[0]
    assert "1199 x" in lines[-1]


def test_a_long_line_is_cut() -> None:
    book = LogBook()
    fill(book, 1, "x" * 1000)
    assert len(book.last_lines(1)[0]) == 400


def test_the_last_lines_come_eldest_first() -> None:
    book = LogBook()
    for text in "abc":
        book.emit(logging.makeLogRecord({"msg": text}))
    assert [line[-1] for line in book.last_lines(2)] == ["b", "c"]
    assert book.last_lines(0) == ()


@pytest.mark.parametrize("text", ["x" * 1000, "\N{GRINNING FACE}" * 1000])
def test_what_it_gives_fits_into_a_message(text: str) -> None:
    book = LogBook()
    fill(book, 1000, text)
    lines = book.last_lines(1000)
    assert encode_response(LogsResponse(lines=lines))
    assert len(lines) > 100
