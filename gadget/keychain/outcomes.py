"""What becomes of each key where a request names several: one refusal stops none of the others.

Called by `gadget.keychain.keyring`.
"""

from broker.messages import KeyOutcome
from gadget.keychain.errors import KeychainError, KeyNotFound
from gadget.keychain.key import Key
from gadget.keychain.secret import Secret

__all__ = ["lock_key", "no_key", "unlock_key"]


async def unlock_key(key_id: str, key: Key | None, kek: Secret) -> KeyOutcome:
    try:
        if key is None:
            raise no_key(key_id)
        return KeyOutcome(id=key_id, code=0, message=await key.unlock(kek))
    except KeychainError as error:
        return KeyOutcome(id=key_id, code=int(error.code), message=str(error))


async def lock_key(key_id: str, key: Key | None) -> KeyOutcome:
    if key is None:
        error = no_key(key_id)
        return KeyOutcome(id=key_id, code=int(error.code), message=str(error))
    await key.lock()
    return KeyOutcome(id=key_id, code=0, message="")


def no_key(name: str) -> KeyNotFound:
    return KeyNotFound(f"there is no key {name}")
