"""A board without a cable: answers the HTTP signer and the commands from memory."""

from collections.abc import Awaitable, Callable

import trio

from broker.messages import (
    ErrorCode,
    InitInfoResponse,
    KeyOutcome,
    KeyStatus,
    MarksStatus,
    MarkStatus,
    VersionResponse,
)
from gadget.health.judge import Judge
from gadget.health.report import Sample, encode_report
from host.errors import HostError, Refused
from tests.gadget.health.samples import GOOD
from tezos.keys import KeyType, PublicKey
from tezos.signers import Signer, open_signer

__all__ = ["FakeBoard", "describe", "make_signer"]

_SECRETS = {KeyType.TZ1: 1, KeyType.TZ2: 2, KeyType.TZ3: 3, KeyType.TZ4: 4}


def make_signer(key_type: KeyType, number: int = 0) -> Signer:
    """The same key for the same arguments."""
    return open_signer(key_type, bytes([_SECRETS[key_type] + 16 * number]) * 31 + b"\x05")


def describe(
    key_id: str,
    signer: Signer,
    *,
    lock_state: str = "unlocked",
    last_level: int | None = None,
    chain_id: str | None = "NetXdQprcVkpaWU",
    marks: MarksStatus | None = None,
) -> KeyStatus:
    key = signer.public_key
    proof = None
    if key.type is KeyType.TZ4:
        from tezos.verify import encode_signature  # noqa: PLC0415

        proof = encode_signature(KeyType.TZ4, signer.prove_possession(None))
    return KeyStatus(
        id=key_id,
        type=key.type.value,
        pkh=key.address,
        public_key=key.base58,
        proof_of_possession=proof,
        lock_state=lock_state,
        chain_id=chain_id,
        marks=marks,
        last_level=last_level,
    )


class FakeBoard:
    """`host.remote_signer.Board`, and the methods of `host.client.Client` that the commands call.

    `failure` is raised by every call; `before` is awaited first; `asked` lists what was called.
    """

    def __init__(self, *key_types: KeyType) -> None:
        self.signers = {f"key{n}": make_signer(key_type, n) for n, key_type in enumerate(key_types)}
        self.failure: BaseException | None = None
        self.before: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.problem: HostError | None = None
        self.asked: list[str] = []
        self.start_id = bytes(16)
        self.passphrases: list[bytes] = []
        self.refuse_ids: frozenset[str] = frozenset()
        self.log_lines: tuple[str, ...] = ("first line", "second \x1b[2Jline")
        self.initialised = True
        self.clock_s: int | None = None
        self.set_health(GOOD)

    def set_health(self, sample: Sample) -> None:
        self.health_report = encode_report(Judge(lambda _boottime_s: None).judge(sample))

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        return tuple(signer.public_key for signer in self.signers.values())

    async def status(self) -> tuple[KeyStatus, ...]:
        await self._take("status")
        mark = MarkStatus(level=12_000_000, round=1)
        marks = MarksStatus(block=None, preattestation=mark, attestation=mark)
        return tuple(describe(key_id, s, marks=marks) for key_id, s in self.signers.items())

    async def sign(self, pkh: str, payload: bytes) -> bytes:
        await self._take("sign")
        return self._find(pkh).sign(payload)

    async def prove_possession(self, pkh: str, public_key: bytes | None = None) -> bytes:
        await self._take("prove_possession")
        return self._find(pkh).prove_possession(public_key)

    async def version(self) -> VersionResponse:
        await self._take("version")
        return VersionResponse(version="9.9", protocol=1, image_version="", image_date="")

    async def ping(self) -> bytes:
        await self._take("ping")
        return self.start_id

    async def health(self, clock_s: int | None) -> bytes:
        """Not in `asked`: a run asks by itself."""
        if self.failure is not None:
            raise self.failure
        self.clock_s = clock_s
        return self.health_report

    async def logs(self, lines: int) -> tuple[str, ...]:
        await self._take("logs")
        return self.log_lines[-lines:]

    async def init_info(self) -> InitInfoResponse:
        await self._take("init_info")
        return InitInfoResponse(initialised=self.initialised, deterministic=False)

    async def init(self, passphrase: bytes, *, deterministic: bool) -> None:
        await self._take(f"init deterministic={deterministic}", passphrase)

    async def new(
        self,
        passphrase: bytes,
        key_id: str,
        key_type: str,
        chain_id: str | None,
        *,
        exportable: bool = False,
    ) -> KeyStatus:
        leaves = " exportable" if exportable else ""
        await self._take(f"new {key_id} {key_type} {chain_id}{leaves}", passphrase)
        if key_id in self.refuse_ids:
            raise Refused(ErrorCode.NEW_KEY_EXISTS, f"there is a key {key_id}")
        signer = make_signer(KeyType(key_type), len(self.signers))
        self.signers[key_id] = signer
        return describe(key_id, signer, lock_state="locked", chain_id=chain_id)

    async def unlock(self, passphrase: bytes, ids: tuple[str, ...] = ()) -> tuple[KeyOutcome, ...]:
        await self._take("unlock", passphrase)
        return self._outcomes(ids)

    async def lock(self, ids: tuple[str, ...] = ()) -> tuple[KeyOutcome, ...]:
        await self._take("lock")
        return self._outcomes(ids)

    async def delete(self, passphrase: bytes, key_id: str) -> None:
        await self._take(f"delete {key_id}", passphrase)

    def _outcomes(self, ids: tuple[str, ...]) -> tuple[KeyOutcome, ...]:
        return tuple(
            KeyOutcome(id=key_id, code=31, message="no such key")
            if key_id in self.refuse_ids
            else KeyOutcome(id=key_id, code=0, message="")
            for key_id in ids or tuple(self.signers)
        )

    def _find(self, pkh: str) -> Signer:
        for signer in self.signers.values():
            if signer.public_key.address == pkh:
                return signer
        raise Refused(ErrorCode.KEY_NOT_FOUND, "no such key")

    async def _take(self, call: str, passphrase: bytes | None = None) -> None:
        self.asked.append(call)
        if passphrase is not None:
            self.passphrases.append(passphrase)
        await self.before()
        if self.failure is not None:
            raise self.failure
