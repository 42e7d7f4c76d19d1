"""Log lines of `run`: fields, hostile text, and an output that is stuck."""

import io
import logging
import threading

import pytest

from host.logs import LineFormatter, write_logs

logger = logging.getLogger("tests.host.logged")


def line(message: str, **fields: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", **fields})
    return LineFormatter().format(record)


def test_fields_follow_the_message() -> None:
    text = line("request answered", method="GET", status=200, ms=0.4321)
    assert text.endswith(" INFO request answered method=GET status=200 ms=0.4")


@pytest.mark.parametrize("text", ["a b", "", 'x="y"', "a\nb", "\x1b[2J", "é", "status=500"])
def test_text_that_could_be_taken_for_ours_is_quoted(text: str) -> None:
    shown = line("asked", path=text)
    assert shown.isascii()
    assert shown.isprintable()
    assert ' path="' in shown


def test_lines_are_written_in_order_and_before_the_end() -> None:
    stream = io.StringIO()
    with write_logs(stream):
        for number in range(100):
            logger.info("counted", extra={"number": number})
        logger.debug("left out")
    written = stream.getvalue().splitlines()
    assert [text.rpartition("=")[2] for text in written] == [str(n) for n in range(100)]


def test_a_traceback_is_written_too() -> None:
    stream = io.StringIO()
    with write_logs(stream):
        logger.error("request failed", exc_info=ZeroDivisionError("why"))
    assert "ZeroDivisionError: why" in stream.getvalue()


class _Stuck(io.StringIO):
    """Takes the first line only when `gate` is set, and tells of every line."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.taken = threading.Semaphore(0)

    def flush(self) -> None:  # logging calls it after each line
        self.gate.wait()
        self.taken.release()


def test_an_output_that_is_stuck_costs_lines_and_no_time() -> None:
    stream = _Stuck()
    with write_logs(stream, queue_lines=3):
        for number in range(10):
            logger.info("counted", extra={"number": number})
        stream.gate.set()
        for _ in range(3):
            stream.taken.acquire()
        logger.info("at last")
    assert " lost_lines=" in stream.getvalue()
    assert "at last" in stream.getvalue()


def test_leaving_takes_a_moment_where_the_output_stays_stuck() -> None:
    stream = _Stuck()
    with write_logs(stream, queue_lines=3):
        for _ in range(10):
            logger.info("counted")
    stream.gate.set()
