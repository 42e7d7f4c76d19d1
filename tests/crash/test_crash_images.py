"""What may be on a disk after a power cut: nothing impossible, and nothing left out."""

from random import Random

from tests.crash.crash_images import Damage, split, vary
from tests.crash.recording import Write

_A, _B, _C = (Write(at, bytes([at + 1]) * 1024) for at in (0, 1, 2))


def _tried(*pending: Write, damage: Damage, samples: int = 1) -> list[tuple[Write, ...]]:
    images = vary(pending, Random(1), samples)  # noqa: S311
    return [image.writes for image in images if image.damage is damage]


def test_nothing_in_flight_leaves_one_image() -> None:
    (image,) = vary((), Random(1), 3)  # noqa: S311
    assert image.writes == ()


def test_all_and_none_are_tried() -> None:
    assert _tried(_A, _B, damage=Damage.NONE) == [(), (_A, _B)]


def test_few_in_flight_are_dropped_in_every_way() -> None:
    dropped = _tried(_A, _B, _C, damage=Damage.DROPPED)
    assert dropped == [(_A,), (_B,), (_C,), (_A, _B), (_A, _C), (_B, _C)]


def test_what_stays_keeps_its_order_and_is_whole() -> None:
    pending = [Write(at, bytes([at]) * 512) for at in range(20)]
    for kept in _tried(*pending, damage=Damage.DROPPED, samples=50):
        assert list(kept) == [write for write in pending if write in kept]


def test_a_torn_write_has_some_of_its_sectors() -> None:
    whole = Write(4096, bytes(range(256)) * 8)
    seen = set()
    for (torn,) in _tried(whole, damage=Damage.TORN, samples=100):
        start = torn.offset - whole.offset
        assert torn.data == whole.data[start : start + len(torn.data)]
        assert start % 512 == len(torn.data) % 512 == 0
        seen.add((start, len(torn.data)))
    assert seen == {(0, 512), (0, 1024), (0, 1536), (512, 1536), (1024, 1024), (1536, 512)}


def test_a_spoilt_block_keeps_its_place() -> None:
    for damage in (Damage.ZEROED, Damage.GARBLED):
        (image,) = _tried(_A, damage=damage)
        ((spoilt),) = image
        assert (spoilt.offset, len(spoilt.data)) == (_A.offset, 1024)
        assert spoilt.data != _A.data


def test_a_request_is_split_into_blocks() -> None:
    whole = Write(3072, bytes(range(256)) * 10)
    pieces = split(whole, 1024)
    assert [piece.offset for piece in pieces] == [3072, 4096, 5120]
    assert b"".join(piece.data for piece in pieces) == whole.data
