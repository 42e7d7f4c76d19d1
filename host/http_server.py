"""HTTP/1.1 around a signer: starlette reads the request, hypercorn's trio server carries it.

Owns sockets, limits and the log line of each request. Knows no route and no device. Called by
`commands.run`.

Nothing that connects may hold anything for long: headers have `idle_s`, a body `body_s` and
`body_bytes`, a connection `connection_s` and `answers_per_connection`, and there are at most
`connections` of them. hypercorn's own `serve` bounds neither the number of connections nor the
damage of an exception in one of them (it ends the server), so its accept loop is ours;
`hypercorn.trio.tcp_server` does each connection, `host.listening` takes them.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from host.listening import open_listeners, serve_again
from host.settings import ListenAddress
from host.signer_api import HttpRequest, HttpResponse, answer_error

__all__ = ["HttpLimits", "HttpServer"]

logger = logging.getLogger(__name__)

_LOGGED_PATH_CHARACTERS: Final = 120
# hypercorn blocks its reader and the answer on each other when this queue is full, and the
# connection is lost for good. What is in the queue is bounded all the same: every body is read at
# once, up to body_bytes.
_QUEUE_WITHOUT_LIMIT: Final = 1 << 30

Answer = Callable[[HttpRequest], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """octez sends 300 bytes of headers and 500 of body at once, and closes after the answer."""

    header_bytes: int = 8 * 1024
    body_bytes: int = 16 * 1024
    body_s: float = 5.0
    idle_s: float = 5.0
    connection_s: float = 300.0
    connections: int = 128
    backlog: int = 64
    answers_per_connection: int = 16
    goodbye_s: float = 1.0


class _Connection(TCPServer):
    """One connection of hypercorn's, without its habit of outliving the client by `idle_s`."""

    _client_left = False

    async def _read_data(self) -> None:
        await super()._read_data()
        self._client_left = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if self._client_left and isinstance(event, Updated):
            return  # it would start the idle time of a client that is gone
        await super().protocol_send(event)


class HttpServer:
    """Serves one address from `run` until `stop` is called. Restarting needs a new one."""

    def __init__(
        self, answer: Answer, limits: HttpLimits | None = None, *, log_level: int = logging.INFO
    ) -> None:
        """`log_level`: of the line for each request."""
        self._answer = answer
        self._log_level = log_level
        self._limits = limits or HttpLimits()
        self._config = _configure(self._limits)
        self._context = WorkerContext(None)
        self._stopping = trio.Event()
        self._ended = trio.Event()
        self._ended.set()
        self._address: ListenAddress | None = None
        self._accepted = 0
        self._accepting = trio.lowlevel.ParkingLot()
        self._open = 0
        self._refused = 0

    @property
    def open_connections(self) -> int:
        return self._open

    def stop(self) -> None:
        """Accepts no more; what is being answered has `goodbye_s` left."""
        self._stopping.set()

    async def wait_ended(self) -> None:
        """Returns at once where `run` has not been called."""
        await self._ended.wait()

    async def run(
        self,
        address: ListenAddress,
        *,
        task_status: trio.TaskStatus[ListenAddress] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Starts with the address in use (port 0: one that was free).

        Raises:
            OSError: it can't listen there.
        """
        listeners = await open_listeners(address, self._limits.backlog)
        self._address = replace(address, port=listeners[0].socket.getsockname()[1])
        self._ended = trio.Event()
        try:
            await self._accept(listeners, self._address, task_status)
        finally:
            self._ended.set()

    async def beat(self) -> None:
        """Returns once a connection of our own was accepted; hangs where nobody accepts any more.

        Raises:
            OSError: nothing listens (just now).
        """
        seen = self._accepted
        address = self._address
        assert address is not None, "run has started"  # noqa: S101
        async with await trio.open_tcp_stream(address.host, address.port):
            while self._accepted == seen:
                await self._accepting.park()

    async def _accept(
        self,
        listeners: list[trio.SocketListener],
        address: ListenAddress,
        task_status: trio.TaskStatus[ListenAddress],
    ) -> None:
        async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
            accepting.start_soon(
                partial(
                    serve_again,
                    self._serve_connection,
                    listeners,
                    address,
                    backlog=self._limits.backlog,
                    connections=connections,
                )
            )
            task_status.started(address)
            await self._stopping.wait()
            accepting.cancel_scope.cancel()
            await self._context.terminated.set()
            connections.cancel_scope.deadline = trio.current_time() + self._limits.goodbye_s

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        self._accepted += 1
        self._accepting.unpark_all()
        if self._open >= self._limits.connections:
            self._refused += 1
            return
        if self._refused:
            logger.warning(
                "too many connections: some were refused", extra={"count": self._refused}
            )
            self._refused = 0
        self._open += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_late, stream)
                await self._make_protocol(stream).run()
                nursery.cancel_scope.cancel()
        except Exception:  # one connection's failure must not end the others
            logger.exception("connection failed")
        finally:
            self._open -= 1

    async def _close_late(self, stream: trio.SocketStream) -> None:
        """Ends what cancelling can't: hypercorn shields its writes to a client that never reads."""
        try:
            await trio.sleep(self._limits.connection_s)
        finally:
            await trio.aclose_forcefully(stream)

    def _make_protocol(self, stream: trio.SocketStream) -> _Connection:
        application = ASGIWrapper(cast("ASGIFramework", self._serve_request))
        # It is declared for TLS only, and asks the stream which one it is.
        tls_or_not = cast("trio.SSLStream[trio.SocketStream]", stream)
        state = ConnectionState({})
        return _Connection(application, self._config, self._context, state, tls_or_not)

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        started_s = trio.current_time()
        request = Request(scope, receive)
        try:
            answer = await self._answer_request(request)
        except ClientDisconnect:
            return
        except Exception:
            logger.exception("request failed")
            answer = answer_error(500, "unexpected failure; the signer's log has the reason")
        await _make_response(answer)(scope, receive, send)
        fields = {
            "method": request.method,
            "path": scope["path"][:_LOGGED_PATH_CHARACTERS],
            "status": answer.status,
            "ms": (trio.current_time() - started_s) * 1000,
        }
        if answer.reason:
            fields["reason"] = answer.reason
        logger.log(self._log_level, "request answered", extra=fields)

    async def _answer_request(self, request: Request) -> HttpResponse:
        if request.scope["http_version"] not in ("1.0", "1.1"):
            return answer_error(505, "only HTTP/1.1 is served")
        body = await self._read_body(request)
        if isinstance(body, HttpResponse):
            return body
        return await self._answer(
            HttpRequest(
                method=request.method,
                path=request.scope["path"],
                query=tuple(request.query_params.multi_items()),
                from_browser=_is_from_browser(request),
                body=body,
            )
        )

    async def _read_body(self, request: Request) -> bytes | HttpResponse:
        """Reads every request's body, GET too: what is not read would pile up."""
        body = bytearray()
        with trio.move_on_after(self._limits.body_s):
            async with aclosing(request.stream()) as parts:
                async for part in parts:
                    body += part
                    if len(body) > self._limits.body_bytes:
                        limit = self._limits.body_bytes
                        return answer_error(413, f"a body is at most {limit} bytes")
            return bytes(body)
        return answer_error(408, f"the body did not end within {self._limits.body_s:g} s")


def _configure(limits: HttpLimits) -> Config:
    config = Config()
    config.h11_max_incomplete_size = limits.header_bytes
    config.h2_max_header_list_size = limits.header_bytes
    config.h2_max_concurrent_streams = 1
    config.keep_alive_timeout = limits.idle_s
    config.keep_alive_max_requests = limits.answers_per_connection
    config.max_app_queue_size = _QUEUE_WITHOUT_LIMIT
    config.include_server_header = False
    config.errorlog = logging.getLogger(f"{__name__}.hypercorn")
    return config


def _is_from_browser(request: Request) -> bool:
    """Browsers send Origin with a POST, and Sec-Fetch-Site ("none": typed in by hand).

    So no page can ask for a signature, whatever name it has made this address look like. The Host
    header is not checked: octez users may set it.
    """
    fetch_site = request.headers.get("sec-fetch-site", "none")
    return "origin" in request.headers or fetch_site != "none"


def _make_response(answer: HttpResponse) -> Response:
    headers: dict[str, str] = {}
    if answer.allow is not None:
        headers["allow"] = answer.allow
    if answer.status in (408, 413, 505):
        headers["connection"] = "close"
    media_type = answer.media_type if answer.body else None
    return Response(answer.body, answer.status, headers, media_type)
