"""Marks as the keychain has them, and as they travel: both ways. Pure.

Owns what a mark from elsewhere means here: it gives no right to sign again, and the last level of a
sender that is retired is used up. Called by `gadget.key_requests`.
"""

from broker.messages import ChainEntry, KeyMarks, MarkEntry
from gadget.keychain.mark_changes import raise_to
from gadget.keychain.marks import ChainMarks, Mark, Marks
from tezos.keys import encode_chain_id, parse_chain_id

__all__ = ["from_entries", "to_entries"]

_UNKNOWN_HASH = bytes(32)


def to_entries(key_id: str, pkh: str, marks: Marks, chain_id: bytes | None) -> KeyMarks:
    """Args: chain_id: the one that the key signs on, and may be retired on."""
    chains = list(marks.chains)
    if chain_id is not None and not marks.has_chain(chain_id):
        chains.append(ChainMarks(chain_id=chain_id))
    return KeyMarks(
        id=key_id,
        pkh=pkh,
        chains=tuple(
            ChainEntry(
                chain_id=encode_chain_id(chain.chain_id),
                last_level=marks.last_level if chain.chain_id == chain_id else None,
                block=_to_entry(chain.block),
                preattestation=_to_entry(chain.preattestation),
                attestation=_to_entry(chain.attestation),
            )
            for chain in chains
        ),
    )


def _to_entry(mark: Mark | None) -> MarkEntry | None:
    if mark is None:
        return None
    payload_hash = None if mark.payload_hash == _UNKNOWN_HASH else mark.payload_hash
    return MarkEntry(level=mark.level, round=mark.round, hash=payload_hash)


def from_entries(key: KeyMarks) -> Marks:
    """Raises: BadEncoding: a chain id is none."""
    marks = Marks(chains=tuple(_from_chain(chain) for chain in key.chains))
    for chain in key.chains:
        if chain.last_level is not None:
            marks = raise_to(marks, parse_chain_id(chain.chain_id), chain.last_level)
    return marks


def _from_chain(chain: ChainEntry) -> ChainMarks:
    entries = (chain.block, chain.preattestation, chain.attestation)
    # What has a hash was signed by this key, so the guard against jumps may start from there.
    signed = [entry.level for entry in entries if entry is not None and entry.hash is not None]
    return ChainMarks(
        chain_id=parse_chain_id(chain.chain_id),
        signed_level=max(signed, default=None),
        block=_from_entry(chain.block),
        preattestation=_from_entry(chain.preattestation),
        attestation=_from_entry(chain.attestation),
    )


def _from_entry(entry: MarkEntry | None) -> Mark | None:
    if entry is None:
        return None
    payload_hash = entry.hash or _UNKNOWN_HASH
    return Mark(level=entry.level, round=entry.round, payload_hash=payload_hash, may_resign=False)
