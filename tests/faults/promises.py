"""What has to hold after any fault: no mark is below what was released, nothing is signed twice."""

from broker.messages import ErrorCode
from host.client import Client
from host.errors import Refused
from tests.faults.findings import Findings
from tests.faults.ledger import Question, ask_at
from tests.faults.stack import Stack

__all__ = ["check_marks", "check_refused", "refusal"]


def check_marks(stack: Stack, findings: Findings) -> None:
    """With the marks that were read last, by `stack.look` or `stack.unlock`."""
    marks = stack.marks()
    for released in stack.ledger.latest():
        place = released.place
        mark = marks.get((place.address, place.kind), -1)
        findings.check(mark >= place.level, f"LOST WATERMARK: {mark} at {place}")


async def check_refused(client: Client, findings: Findings, question: Question) -> None:
    """Another payload for a place that was signed."""
    code = await refusal(client, ask_at(question.place))
    findings.check(code == ErrorCode.STALE_WATERMARK, f"another payload for the place: code {code}")


async def refusal(client: Client, question: Question) -> int | None:
    """None: it was signed."""
    try:
        await client.sign(question.place.address, question.payload)
    except Refused as error:
        return error.code
    return None
