"""Ways for the gadget daemon to grow, one for each thing that must not: tests of the soak itself.

Never part of the product: they patch what the daemon has loaded, from outside.
"""

import os
import threading
from collections.abc import Callable
from typing import Final

import trio

from gadget.channel import Channel
from gadget.rpc import Service

__all__ = ["LEAKS"]

_KEPT: Final[list[object]] = []
_REQUEST_BYTES: Final = 1024


def _leak_at_each_request() -> None:
    answer = Service.answer

    async def answer_and_keep(service: Service, interface: int, payload: bytes) -> bytes:
        _KEPT.append(os.urandom(_REQUEST_BYTES))
        return await answer(service, interface, payload)

    setattr(Service, "answer", answer_and_keep)  # noqa: B010 - mypy guards plain ones


def _leak_at_each_session(leak: Callable[[], None]) -> None:
    run = Channel.run

    async def run_and_leak(
        channel: Channel, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        leak()
        await run(channel, task_status=task_status)

    setattr(Channel, "run", run_and_leak)  # noqa: B010


def _open_descriptor() -> None:
    _KEPT.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def _start_task() -> None:
    trio.lowlevel.spawn_system_task(trio.sleep_forever)


def _start_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


LEAKS: Final[dict[str, Callable[[], None]]] = {
    "memory": _leak_at_each_request,
    "descriptor": lambda: _leak_at_each_session(_open_descriptor),
    "task": lambda: _leak_at_each_session(_start_task),
    "thread": lambda: _leak_at_each_session(_start_thread),
}
