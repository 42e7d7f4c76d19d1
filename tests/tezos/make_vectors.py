"""Makes vectors/payloads.json and vectors/signatures.json again, without importing `tezos`.

    python -m tests.tezos.make_vectors

Payloads come from `tests.payloads`; tz4 from py_ecc (pure Python), tz1 to tz3 from `slow_curves`.
Every run gives the same bytes: secrets are hashes of their names. vectors/eip2333.json is not made
here: it is the list of test cases in EIP-2333 (CC0).
"""

import hashlib
import json
from pathlib import Path
from typing import Final

import base58
from py_ecc.bls.ciphersuites import G2ProofOfPossession as Pop

from tests import payloads
from tests.tezos import slow_curves

__all__ = ["main", "make_payloads", "make_signatures"]

_FOLDER: Final = Path(__file__).parent / "vectors"
_ALL: Final = "tz1 tz2 tz3 tz4"
_SLOT: Final = "tz1 tz2 tz3"
_GHOSTNET: Final = bytes.fromhex("af1864d9")
_BLS_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
_EC: Final = {
    "tz2": (slow_curves.SECP256K1, "06a1a1", "03fee256", "0d7365133f"),
    "tz3": (slow_curves.P256, "06a1a4", "03b28b7f", "36f02c34"),
}

Record = dict[str, str | int | None]


def main() -> None:
    _write("payloads.json", make_payloads())
    _write("signatures.json", make_signatures())


def make_payloads() -> list[Record]:
    """One payload for each form, and the ends of the ranges of level and round."""
    limit = 2**31 - 1
    hash_ = hashlib.sha256(b"seed nonce").digest()
    records = [
        _payload("block", _ALL, payloads.block(10_511_340, 0), 10_511_340, 0),
        _payload("block-locked", _ALL, payloads.block(5, 7, locked_round=6), 5, 7),
        _payload("block-seed", _ALL, payloads.block(64, 1, seed_nonce_hash=hash_), 64, 1),
        _payload(
            "block-locked-seed-reproposal",
            _ALL,
            payloads.block(
                128, 3, locked_round=1, payload_round=1, predecessor_round=9, seed_nonce_hash=hash_
            ),
            128,
            3,
        ),
        _payload("block-zero", _ALL, payloads.block(0, 0), 0, 0),
        _payload("block-limit", _ALL, payloads.block(limit, limit), limit, limit),
    ]
    for name, build in (("pre", payloads.preattestation), ("att", payloads.attestation)):
        for level, round_ in ((0, 0), (10_511_340, 2), (limit, limit)):
            tz4 = build("tz4", level, round_, chain_id=_GHOSTNET)
            slot = build("tz1", level, round_, slot=level % 7000)
            records.append(_payload(f"{name}-tz4-{level}", "tz4", tz4, level, round_))
            records.append(_payload(f"{name}-slot-{level}", _SLOT, slot, level, round_))
    for dal in ("00", "3f", "8001", "8020", "bfffffff7f"):
        data = payloads.attestation("tz2", 77, 1, slot=65535, dal=bytes.fromhex(dal))
        records.append(_payload(f"att-dal-{dal}", _SLOT, data, 77, 1))
    return records


def make_signatures() -> list[Record]:
    """Keys, signatures and, for tz4, proofs of possession; with the ends of the scalars' range."""
    block = payloads.block(10_511_340, 0)
    vote = payloads.attestation("tz4", 10_511_340, 1)
    records = [
        _sign_tz4("one", 1, vote),
        _sign_tz4("two", 2, vote),
        _sign_tz4("one-limb", 2**64 + 1, block),
        _sign_tz4("half", 2**254, vote),
        _sign_tz4("last", _BLS_ORDER - 1, vote),
        _sign_tz4("hash", int.from_bytes(hashlib.sha256(b"tz4 0").digest()) % _BLS_ORDER, block),
    ]
    for number in range(4):
        slot = payloads.attestation("tz1", 10_511_340, number, slot=number)
        records.append(_sign_tz1(f"tz1 {number}", slot))
        records += [_sign_ec(f"{kind} {number}", kind, slot) for kind in _EC]
    for kind in _EC:
        records.append(_sign_short(kind))
    return records


def _payload(name: str, key_types: str, data: bytes, level: int, round_: int) -> Record:
    return {
        "name": name,
        "key_types": key_types,
        "kind": {0x11: "block", 0x12: "preattestation", 0x13: "attestation"}[data[0]],
        "chain_id": data[1:5].hex(),
        "level": level,
        "round": round_,
        "hex": data.hex(),
    }


def _sign_tz4(name: str, scalar: int, payload: bytes) -> Record:
    public_key = bytes(Pop.SkToPk(scalar))
    signature = bytes(Pop.Sign(scalar, payload))
    proof = bytes(Pop.PopProve(scalar))
    return {
        "type": "tz4",
        "name": name,
        "secret_hex": scalar.to_bytes(32, "little").hex(),
        "payload_hex": payload.hex(),
        "address": _base58("06a1a6", _hash(public_key, 20)),
        "public_key": _base58("069587cc", public_key),
        "signature": _base58("28ab40cf", signature),
        "possession": _base58("28ab40cf", proof),
    }


def _sign_tz1(name: str, payload: bytes) -> Record:
    secret = hashlib.sha256(name.encode()).digest()
    public_key, signature = slow_curves.ed25519_sign(secret, _hash(payload, 32))
    return {
        "type": "tz1",
        "name": name,
        "secret_hex": secret.hex(),
        "payload_hex": payload.hex(),
        "address": _base58("06a19f", _hash(public_key, 20)),
        "public_key": _base58("0d0f25d9", public_key),
        "signature": _base58("09f5cd8612", signature),
    }


def _sign_ec(name: str, kind: str, payload: bytes) -> Record:
    curve, address, key, mark = _EC[kind]
    secret = hashlib.sha256(name.encode()).digest()
    public_key = slow_curves.ecdsa_public_key(curve, secret)
    r, s = slow_curves.ecdsa_sign(curve, secret, _hash(payload, 32))
    if kind == "tz2":
        s = min(s, curve.order - s)
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return {
        "type": kind,
        "name": name,
        "secret_hex": secret.hex(),
        "payload_hex": payload.hex(),
        "address": _base58(address, _hash(public_key, 20)),
        "public_key": _base58(key, public_key),
        "signature": _base58(mark, signature),
    }


def _sign_short(kind: str) -> Record:
    """A signature whose r begins with a zero byte."""
    curve = _EC[kind][0]
    name = f"{kind} short"
    secret = hashlib.sha256(name.encode()).digest()
    for level in range(10_000):
        payload = payloads.preattestation(kind, level, 0)
        if slow_curves.ecdsa_sign(curve, secret, _hash(payload, 32))[0] < 2**248:
            return _sign_ec(name, kind, payload)
    raise AssertionError(kind)


def _hash(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()


def _base58(prefix_hex: str, data: bytes) -> str:
    return base58.b58encode_check(bytes.fromhex(prefix_hex) + data).decode()


def _write(name: str, records: list[Record]) -> None:
    document = {"made_by": "python -m tests.tezos.make_vectors", "vectors": records}
    (_FOLDER / name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
