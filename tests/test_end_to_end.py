"""Boots a board, runs the baker's day on it, and checks all that was signed with other
libraries."""

import json
from pathlib import Path

import pytest
from eth_typing import BLSPubkey, BLSSignature
from py_ecc.bls.ciphersuites import G2ProofOfPossession

from tests.kernel_run import run_kernel_tests
from tests.tezos.slow_verify import decode_base58check, verify_classic


@pytest.mark.lab
@pytest.mark.timeout(1200)
def test_a_bakers_day_and_the_signatures_hold_elsewhere(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    out = tmp_path / "out"
    run_kernel_tests("test_end_to_end.py", out=out, disk=disk)
    record = json.loads((out / "signed.json").read_text())
    assert len(record["signed"]) == 12
    bls_key = b""
    for entry in record["signed"]:
        payload = bytes.fromhex(entry["payload"])
        public_key = decode_base58check(entry["public_key"])
        signature = decode_base58check(entry["signature"])
        if entry["public_key"].startswith("BLpk"):
            bls_key = public_key
            assert G2ProofOfPossession.Verify(
                BLSPubkey(public_key), payload, BLSSignature(signature)
            )
        else:
            assert verify_classic(entry["public_key"][:4], public_key, payload, signature)
    assert G2ProofOfPossession.PopVerify(
        BLSPubkey(bls_key), BLSSignature(decode_base58check(record["proof"]))
    )
