"""Request handlers for tests."""

import trio

__all__ = ["GatedHandler", "echo"]


async def echo(payload: bytes) -> bytes:
    return b"answer to " + payload


class GatedHandler:
    """Answers like `echo`, each request only once its gate is open; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.running = 0
        self.running_peak = 0
        self._open = False
        self._gates: dict[bytes, trio.Event] = {}

    async def __call__(self, payload: bytes) -> bytes:
        self.asked.append(payload)
        self.running += 1
        self.running_peak = max(self.running_peak, self.running)
        try:
            if not self._open:
                await self._gates.setdefault(payload, trio.Event()).wait()
        finally:
            self.running -= 1
        return await echo(payload)

    def release(self, payload: bytes) -> None:
        self._gates.setdefault(payload, trio.Event()).set()

    def release_all(self) -> None:
        self._open = True
        for gate in self._gates.values():
            gate.set()
