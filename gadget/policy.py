"""Which request is taken on which interface. Pure.

Interface 0 is what a running signer holds all day: it can sign and look, and changes nothing.
Interface 1 manages and never signs, so that a management tool cannot be used to get signatures.
Called by `gadget.rpc`.
"""

from typing import Final

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.messages import (
    Error,
    ErrorCode,
    HealthRequest,
    PingRequest,
    Request,
    SignRequest,
    StatusRequest,
    VersionRequest,
)

__all__ = ["refusal"]

_ON_SIGN: Final = (SignRequest, PingRequest, StatusRequest, VersionRequest, HealthRequest)


def refusal(interface: int, request: Request) -> Error | None:
    """Returns why this interface does not take the request, or None where it does."""
    if interface == INTERFACE_SIGN:
        if isinstance(request, _ON_SIGN):
            return None
        return Error(
            code=ErrorCode.WRONG_INTERFACE,
            message=f"{request.op} is taken on interface {INTERFACE_MANAGE} only",
        )
    if isinstance(request, SignRequest):
        return Error(
            code=ErrorCode.SIGN_ON_MANAGEMENT,
            message=f"sign is taken on interface {INTERFACE_SIGN} only",
        )
    return None
