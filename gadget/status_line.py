"""The line that `systemctl status` shows. Called by `gadget.watch` through `gadget.daemon`."""

from gadget.keychain.errors import KeystoreUnusable
from gadget.keychain.keyring import Keyring
from gadget.part import Part

__all__ = ["describe"]


def describe(usb: Part, keyring: Keyring) -> str:
    """Returns what a person wants to know first, such as `serving; keys unlocked: 2 of 3`."""
    return f"{usb.status}; {_describe_keys(keyring)}"


def _describe_keys(keyring: Keyring) -> str:
    try:
        if not keyring.is_initialised:
            return "no keystore yet"
    except KeystoreUnusable:
        return "keystore is unusable, see the journal"
    unlocked = keyring.unlocked()
    return f"keys unlocked: {sum(unlocked)} of {len(unlocked)}"
