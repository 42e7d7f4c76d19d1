"""One operation on the board that is meant: choose it, open its management interface, ask, close.

Owns the deadlines of commands. `tezsign run` holds interface 0 meanwhile and is not disturbed.
Called by the commands; the session itself is `host.session`.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

from broker.contract import INTERFACE_MANAGE
from host.client import Client
from host.commands.options import Options
from host.discover import DeviceInfo, choose
from host.errors import DeviceSilent
from host.session import open_client

__all__ = ["ANSWER_S", "PASSPHRASE_S", "ask", "choose_board"]

ANSWER_S: Final = 15.0
PASSPHRASE_S: Final = 90.0
"""Deriving the key from a passphrase takes a small board seconds; several keys, or a queue, take
longer.
"""

_Result = TypeVar("_Result")


def choose_board(options: Options) -> DeviceInfo:
    """Raises: DeviceUnavailable, SeveralDevices: before a person is asked for anything."""
    return choose(options.serial)


def ask(
    board: DeviceInfo,
    operation: Callable[[Client], Awaitable[_Result]],
    *,
    deadline_s: float = ANSWER_S,
) -> _Result:
    """Returns the operation's result.

    Raises:
        HostError: whatever the session and the board's answers raise.
    """
    return trio.run(_ask, board, operation, deadline_s)


async def _ask(
    board: DeviceInfo, operation: Callable[[Client], Awaitable[_Result]], deadline_s: float
) -> _Result:
    try:
        with trio.fail_after(deadline_s):
            async with open_client(board, INTERFACE_MANAGE) as client:
                return await operation(client)
    except trio.TooSlowError as error:
        raise DeviceSilent(f"the board did not answer within {deadline_s:g} s") from error
