"""Talks HTTP as octez does, and as nobody should: bytes out, bytes in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

__all__ = ["Answer", "chunk", "exchange", "octez_get", "octez_post", "receive_answer"]

_VECTORS = Path(__file__).parents[3] / "shared/vectors/consensus.json"
# The form that octez clients send (ocaml-cohttp): recorded ones are in the vectors, where those
# exist.
_ACCEPT = "application/json;q=1,application/bson;q=0.100,application/octet-stream;q=0.200"
_GET = (
    f"GET /authorized_keys HTTP/1.1\r\naccept: {_ACCEPT}\r\n"
    "host: HOST:PORT\r\nuser-agent: ocaml-cohttp/...\r\n\r\n"
)
_POST = (
    f"POST /keys/tz4...?version=2 HTTP/1.1\r\naccept: {_ACCEPT}\r\n"
    "content-type: application/json\r\nhost: HOST:PORT\r\ntransfer-encoding: chunked\r\n"
    "user-agent: ocaml-cohttp/...\r\n\r\n"
    '<hexlen>\r\n"<hex payload>"\\n\r\n0\r\n\r\n'
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def wire_forms() -> list[tuple[str, str]]:
    """The GET and the POST: ours, and the recorded ones."""
    forms = [(_GET, _POST)]
    if _VECTORS.is_file():
        recorded = json.loads(_VECTORS.read_text())["octez_client_wire"]
        forms.append((recorded["get"], recorded["post"]))
    return forms


def octez_get(path: str, port: int, form: str = _GET) -> bytes:
    text = form.replace("/authorized_keys", path, 1).replace("HOST:PORT", f"127.0.0.1:{port}")
    return text.encode()


def octez_post(
    address: str, payload: bytes, port: int, form: str = _POST, version: str = "2"
) -> bytes:
    body = f'"{payload.hex()}"\n'
    text = (
        form.replace("tz4...", address, 1)
        .replace("version=2", f"version={version}", 1)
        .replace("HOST:PORT", f"127.0.0.1:{port}")
        .replace("<hexlen>", f"{len(body):x}")
        .replace('"<hex payload>"\\n', body)
    )
    return text.encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def exchange(port: int, parts: Sequence[bytes]) -> Answer | None:
    """Sends the parts on a new connection; returns the first answer, None where it was closed."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        for part in parts:
            await stream.send_all(part)
        return await receive_answer(stream)


async def receive_answer(stream: trio.abc.ReceiveStream) -> Answer | None:
    """Reads one answer, which must have a Content-Length; None at the end of the stream."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        received = await _receive(stream)
        if not received:
            return None
        data += received
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    body = bytearray(rest)
    while len(body) < int(headers.get("content-length", "0")):
        received = await _receive(stream)
        if not received:
            return None
        body += received
    return Answer(status=int(status_line.split()[1]), headers=headers, body=bytes(body))


async def _receive(stream: trio.abc.ReceiveStream) -> bytes:
    try:
        return bytes(await stream.receive_some(65_536))
    except trio.BrokenResourceError:
        return b""
