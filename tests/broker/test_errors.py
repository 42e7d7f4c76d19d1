"""Which errors of the stream may pass, and which end the link."""

import errno

import pytest

from broker.errors import BadMessage, BrokerError, Decision, LinkLost, Overload, classify
from broker.errors import UnknownRequest as Unknown

RETRYABLE = {"EAGAIN", "EINTR", "EIO", "ENODEV", "EPROTO", "ESHUTDOWN", "EBADMSG", "ETIMEDOUT"}


@pytest.mark.parametrize("name", sorted(errno.errorcode.values()))
def test_only_the_listed_errors_may_pass(name: str) -> None:
    code = getattr(errno, name)
    retryable = code in {getattr(errno, listed) for listed in RETRYABLE}
    decision = Decision.RETRY if retryable else Decision.END
    assert classify(OSError(code, "text")) is decision


def test_error_without_a_number_ends_the_link() -> None:
    assert classify(OSError("text only")) is Decision.END


@pytest.mark.parametrize("error", [BadMessage, Unknown, Overload, LinkLost])
def test_errors_have_one_root(error: type[Exception]) -> None:
    assert issubclass(error, BrokerError)


def test_unknown_request_is_a_bad_message_too() -> None:
    assert issubclass(Unknown, BadMessage)


def test_lost_link_says_why() -> None:
    assert LinkLost("cable pulled").reason == str(LinkLost("cable pulled")) == "cable pulled"
