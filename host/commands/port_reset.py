"""`tezsign advanced usb-port-reset`: the cable pulled, by who is not there to pull it."""

import time
from typing import Final

import click

from host.commands.options import Options, board_options
from host.discover import DeviceInfo, choose, find_devices, reset_port
from host.errors import NoDevice, NotReady
from host.output import show_json, show_text

__all__ = ["usb_port_reset"]

_BACK_S: Final = 20.0
_LOOK_S: Final = 0.25


@click.command("usb-port-reset")
@click.option(
    "--port",
    metavar="1-1.4",
    help="The board by its place, as list-devices shows it: a board that hangs tells no serial.",
)
@board_options
@click.pass_obj
def usb_port_reset(options: Options, port: str | None) -> None:
    """Reset the USB port of a board that does not answer.

    It is as if the cable were pulled and plugged in again. Keys stay unlocked; a tezsign run goes
    on by itself within seconds. A board that hangs after this needs its power cut.
    """
    board = choose(options.serial) if port is None else _find_at(port)
    reset_port(board)
    back = _wait_ready(board.port_path)
    if options.as_json:
        show_json({"serial": back.serial, "port": back.port_path, "ready": back.ready})
    else:
        show_text(f"The board {back.serial} at usb {back.port_path} is back and ready.")


def _find_at(port: str) -> DeviceInfo:
    devices = find_devices()
    for device in devices:
        if device.port_path == port:
            return device
    places = ", ".join(device.port_path for device in devices) or "none"
    raise NoDevice(f"no board is at usb {port} (boards are at: {places})")


def _wait_ready(port: str) -> DeviceInfo:
    """Raises: NotReady: it did not come back, or its signer did not."""
    give_up_s = time.monotonic() + _BACK_S
    while True:
        found = [device for device in find_devices() if device.port_path == port]
        if found and found[0].ready:
            return found[0]
        if time.monotonic() >= give_up_s:
            state = (found[0].problem if found else None) or "it is not on the bus any more"
            raise NotReady(f"the board is not back after {_BACK_S:g} s: {state}; cut its power")
        time.sleep(_LOOK_S)
