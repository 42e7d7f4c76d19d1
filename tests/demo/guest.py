"""Inside the lab: makes keys with the `tezsign` command as a baker would, then serves the
signer."""

import json
import os
import secrets
import subprocess
import sys
from typing import Any, Final

from tests.payloads import attestation
from tests.process.child import Child
from tests.process.run import run_process

__all__ = ["METRICS_PORT", "PORT", "main"]

PORT: Final = 20090
METRICS_PORT: Final = 20091
_GUEST_ADDRESS: Final = "10.0.2.15"
_KEYS: Final = ("consensus", "companion")
_LEVEL: Final = 12_000_000
_COMMAND_S: Final = 120.0


def main() -> int:
    """Returns the exit status of `tezsign run`, which lasts until Ctrl-C."""
    environment = os.environ | {
        "TEZSIGN_UNLOCK_PASS": secrets.token_urlsafe(16),
        "XDG_STATE_HOME": "/tmp",  # noqa: S108 - the guest's own
    }
    _say("the board is enumerated; creating the keystore")
    _tezsign(environment, "init")
    _say("creating the keys " + " and ".join(_KEYS))
    _tezsign(environment, "new", *_KEYS)
    _say("unlocking them")
    _tezsign(environment, "unlock")
    status = json.loads(_tezsign(environment, "status", "--json"))
    _say("starting the signer")
    listen = f"{_GUEST_ADDRESS}:{PORT}"
    metrics = f"{_GUEST_ADDRESS}:{METRICS_PORT}"
    command = ["tezsign", "run", "--listen", listen, "--allow-remote", "--metrics", metrics, *_KEYS]
    try:
        with Child(command, environment=environment, stderr=subprocess.PIPE) as signer:
            return _follow(signer, status)
    except KeyboardInterrupt:
        _say("stopped; the virtual board and its keys are gone")
        return 0


def _follow(signer: Child, status: list[dict[str, Any]]) -> int:
    """Shows what the signer says; the instructions come right after its first line."""
    told = False
    for line in signer.lines(signer.stderr):
        print(line, end="", file=sys.stderr, flush=True)
        if not told and "listening" in line:
            _tell(status)
            told = True
    return signer.wait()


def _tell(status: list[dict[str, Any]]) -> None:
    addresses = {key["id"]: key["pkh"] for key in status}
    payload = attestation("tz4", _LEVEL, 0).hex()
    url = f"http://127.0.0.1:{PORT}/keys/{addresses['consensus']}?version=2"
    print()
    for name in _KEYS:
        print(f"  {name:10} {addresses[name]}")
    print("\n  The signer listens on this machine. Sign an attestation from another terminal:\n")
    print(f"""  curl -s -d '"{payload}"' '{url}'\n""")
    print("  The same again gives the same signature; another payload for that level is refused.")
    print(f"  Figures for monitoring: http://127.0.0.1:{METRICS_PORT}/metrics")
    print("  Ctrl-C stops the signer and the virtual board.\n", flush=True)


def _tezsign(environment: dict[str, str], *arguments: str) -> str:
    done = run_process(["tezsign", *arguments], environment=environment, limit_s=_COMMAND_S)
    if done.returncode != 0:
        _say(f"tezsign {arguments[0]} failed: {done.stderr.strip()}")
        sys.exit(1)
    return done.stdout


def _say(step: str) -> None:
    print(f"== {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
