"""The octez-client commands that register a key of the board with a baker. Pure.

Owns their wording. Called by the commands `new` and `status --full`.
Source: octez manual, "Consensus Key" and "Companion Key"; `--consensus-key-pop` and `--companion-
key-pop` are in octez since version 23 (protocol S).
"""

from typing import Final

from broker.messages import KeyStatus
from host.settings import DEFAULT_LISTEN
from tezos.keys import KeyType

__all__ = ["BAKER_PLACEHOLDER", "registration_lines"]

BAKER_PLACEHOLDER: Final = "BAKER"


def registration_lines(key: KeyStatus) -> tuple[str, ...]:
    """Returns lines to paste into a shell, after BAKER was replaced by the name of the baker's own
    key.

    The import asks the signer for the public key: `tezsign run` must be listening. Only a tz4 key
    can be a companion key, and only a tz4 key needs the proof.
    """
    name, baker = key.id, BAKER_PLACEHOLDER
    imported = f"octez-client import secret key {name} http://{DEFAULT_LISTEN}/{key.pkh}"
    consensus = f"octez-client set consensus key for {baker} to {name}"
    if key.type != KeyType.TZ4 or key.proof_of_possession is None:
        return (imported, consensus)
    companion = f"octez-client set companion key for {baker} to {name}"
    return (
        imported,
        f"{consensus} --consensus-key-pop {key.proof_of_possession}",
        f"{companion} --companion-key-pop {key.proof_of_possession}",
    )
