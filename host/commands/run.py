"""The command that lasts: serves a board's keys to a baker over HTTP, for years.

Owns the wiring of session, signer and HTTP server, and its end on a signal. Waits for a board that
is not there yet and for one that went away: the baker is told 503 meanwhile.
"""

import logging
import os
import signal
from typing import Final

import click
import trio

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.messages import ErrorCode, KeyStatus
from host.authentication import Authenticator
from host.client import Client
from host.commands.options import Options, board_options, check_key_names
from host.discover import choose
from host.errors import DeviceUnavailable, ExitStatus, HostError, Refused, UsageError
from host.http_server import HttpServer
from host.key_directory import KeyDirectory
from host.logs import write_logs
from host.remote_signer import ANSWER_S, RemoteSigner
from host.session import PersistentSession, open_client
from host.settings import DEFAULT_LISTEN, ListenAddress, RunSettings, parse_listen
from tezos.errors import TezosError

__all__ = ["COMMANDS", "SessionBoard", "serve"]

logger = logging.getLogger(__name__)

_INTERRUPTED: Final = 130
_AGAIN_S: Final = 10.0


@click.command("run")
@click.argument("names", callback=check_key_names, nargs=-1, metavar="[NAME...]")
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where the baker finds the signer.",
)
@click.option(
    "--authorized-key",
    "authorized_keys",
    multiple=True,
    metavar="PUBLIC_KEY",
    help="Sign only for who signs the request with this key (edpk..., BLpk...); repeatable.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Listen where other machines reach it, without an --authorized-key.",
)
@board_options
@click.pass_obj
def _run(
    options: Options,
    names: tuple[str, ...],
    listen: str,
    authorized_keys: tuple[str, ...],
    allow_remote: bool,
) -> int:
    """Serve the board's keys to a baker over HTTP.

    Without names: all keys, also those that are made later. Needs no passphrase; the keys must be
    unlocked (tezsign unlock). Ends on SIGTERM and Ctrl-C.
    """
    try:
        settings = RunSettings(
            listen=parse_listen(listen),
            aliases=names,
            authorized_keys=authorized_keys,
            allow_remote=allow_remote,
        )
        authenticator = Authenticator(authorized_keys) if authorized_keys else None
    except (ValueError, TezosError) as error:
        raise UsageError(str(error)) from error
    with write_logs():
        return trio.run(serve, settings, authenticator, options.serial)


class SessionBoard:
    """`host.remote_signer.Board` over the one session; a proof opens interface 1 for itself."""

    def __init__(self, session: PersistentSession) -> None:
        self._session = session

    @property
    def problem(self) -> HostError | None:
        return self._session.problem

    async def status(self) -> tuple[KeyStatus, ...]:
        return await self._session.client.status()

    async def sign(self, pkh: str, payload: bytes) -> bytes:
        return await self._session.client.sign(pkh, payload)

    async def prove_possession(self, pkh: str, public_key: bytes) -> bytes:
        board = await trio.to_thread.run_sync(choose, self._session.serial)
        async with open_client(board, INTERFACE_MANAGE) as client:
            return await client.prove_possession(pkh, public_key)


async def serve(
    settings: RunSettings, authenticator: Authenticator | None, serial: str | None
) -> int:
    """Returns the exit status once SIGTERM or SIGINT came.

    Raises:
        HostError: it can't start: address in use, several boards, no libusb, no such key.
    """
    session = PersistentSession(serial, INTERFACE_SIGN)
    directory = KeyDirectory(settings.aliases)
    signer = RemoteSigner(SessionBoard(session), directory, authenticator)
    server = HttpServer(signer.answer)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_work, settings.listen, serial, session, directory, server)
            number = await anext(aiter(signals))
            logger.info("ending", extra={"signal": signal.Signals(number).name})
            server.stop()
            await server.wait_ended()
            nursery.cancel_scope.cancel()
    return _INTERRUPTED if number == signal.SIGINT else ExitStatus.DONE


async def _work(
    listen: ListenAddress,
    serial: str | None,
    session: PersistentSession,
    directory: KeyDirectory,
    server: HttpServer,
) -> None:
    """Runs until it is cancelled."""
    unavailable = await _look_for_board(serial)
    async with trio.open_nursery() as nursery:
        address = await _start_server(nursery, server, listen)
        if unavailable is not None:
            fields = {"url": address.url, "reason": str(unavailable)}
            logger.warning("serving without a board", extra=fields)
        nursery.start_soon(session.run)
        await _follow_session(session, directory, address)


async def _look_for_board(serial: str | None) -> DeviceUnavailable | None:
    """Raises what a person must change at once; a board that is only not there is waited for."""
    try:
        await trio.to_thread.run_sync(choose, serial, abandon_on_cancel=True)
    except DeviceUnavailable as error:
        return error
    return None


async def _start_server(
    nursery: trio.Nursery, server: HttpServer, address: ListenAddress
) -> ListenAddress:
    try:
        started: ListenAddress = await nursery.start(server.run, address)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise HostError(f"cannot listen on {address.url}: {reason}") from error
    return started


async def _follow_session(
    session: PersistentSession, directory: KeyDirectory, address: ListenAddress
) -> None:
    """Lists the keys whenever the board has come (back): it may have others than before."""
    number = 0
    announced = False
    while True:
        number = await session.wait_up(number)
        listed = await _list_keys(session.client)
        if listed is None:
            continue
        missing = directory.load(listed)
        if missing and not announced:
            raise _unknown_names(missing, listed)
        if missing:
            logger.error("keys are not on the board any more", extra={"keys": " ".join(missing)})
        keys = " ".join(f"{key.alias}:{key.address}" for key in directory.keys)
        event = "the board is back" if announced else "listening"
        logger.info(event, extra={"url": address.url, "keys": keys})
        announced = True


async def _list_keys(client: Client) -> tuple[KeyStatus, ...] | None:
    """Returns None where the board went away meanwhile: its next session brings the next chance."""
    while True:
        try:
            with trio.fail_after(ANSWER_S):
                return await client.status()
        except DeviceUnavailable:
            return None
        except (HostError, trio.TooSlowError) as error:
            reason = str(error) or "no answer"
            logger.warning("the board does not list its keys", extra={"reason": reason})
        await trio.sleep(_AGAIN_S)


def _unknown_names(missing: tuple[str, ...], listed: tuple[KeyStatus, ...]) -> HostError:
    known = ", ".join(key.id for key in listed) or "none"
    text = f"no key on the board is called {', '.join(missing)}; its keys: {known}"
    return Refused(ErrorCode.KEY_NOT_FOUND, text)


COMMANDS: Final = {"run": _run}
