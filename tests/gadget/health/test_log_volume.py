"""How much a board logs at a baker's rate: what is sent to the journal, and what is told."""

import logging
import socket
from pathlib import Path

import trio

from gadget.logs import LogBook
from gadget.part import Part
from gadget.signature_log import SignatureLog
from registrar.logs import JournalHandler
from tests.payloads import attestation

# Mainnet has a block each 8 s; two keys attest and preattest each, and now and then bake.
LINES_A_DAY = 2 * 2 * 86_400 // 8
LIMIT_BYTES = 50_000_000
LINES = 50


async def test_a_day_of_signatures_stays_far_below_the_limit(tmp_path: Path) -> None:
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
    # journald keeps values that repeat once. Without that, and with its own thirty fields of 30
    # bytes in each line, it is still below.
    per_line_bytes = sent_bytes / LINES + 900
    print(f"{sent_bytes / LINES:.0f} bytes a line sent, {book.tally.bytes / LINES:.0f} told")
    assert per_line_bytes * LINES_A_DAY < LIMIT_BYTES
    assert book.tally.lines == LINES
    assert sent_bytes / 3 < book.tally.bytes < sent_bytes
