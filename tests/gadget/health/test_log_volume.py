"""How much a board logs for a signature: what is sent to the journal, and what is told.

What journald makes of it: tests/systemd/test_log_volume.py.
"""

import logging
import socket
from pathlib import Path

import pytest
import trio

from gadget.logs import LogBook
from gadget.part import Part
from gadget.signature_log import SignatureLog
from registrar.logs import JournalHandler
from tests.payloads import attestation

LIMIT_BYTES = 250  # 176 when this was written
JOURNAL_BYTES = 570  # measured: 540 to 600
LINES = 50


async def test_a_signatures_line_is_short_and_told_as_it_is_stored(
    tmp_path: Path,
) -> None:
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(str(tmp_path / "journal"))
    journal.settimeout(5)
    book, handler = LogBook(), JournalHandler("tezsign", tmp_path / "journal")
    logger = logging.getLogger("gadget.signature_log")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.addHandler(book)
    log, sent_bytes = SignatureLog(), 0
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.run, Part("signature log"))
            for level in range(LINES):
                log.note("tz4" + "A" * 33, attestation("tz4", 12_000_000 + level, 0), 1.0)
                sent_bytes += len(await trio.to_thread.run_sync(journal.recv, 65536))
            nursery.cancel_scope.cancel()
    finally:
        logger.removeHandler(handler)
        logger.removeHandler(book)
        handler.close()
        journal.close()
    print(f"{sent_bytes / LINES:.0f} bytes a line sent, {book.tally.bytes / LINES:.0f} told")
    assert sent_bytes / LINES < LIMIT_BYTES
    assert book.tally.lines == LINES
    assert book.tally.bytes / LINES == pytest.approx(JOURNAL_BYTES, rel=0.1)
