"""What an image says of itself is taken whole or not at all."""

import pytest

from image.errors import BadImage
from image.record import RECORD_BYTES, Record, encode_record, parse_record

RECORD = Record(
    board="rpi",
    version="1.2.3",
    date="2026-01-01T00:00:00Z",
    image_hash="ab" * 32,
    layout=1,
    data_format=1,
    is_development=False,
    partitions={"boot": "00" * 32, "root": "11" * 32, "app": "22" * 32},
)


def test_it_reads_back() -> None:
    block = encode_record(RECORD)
    assert len(block) == RECORD_BYTES
    assert parse_record(block) == RECORD


@pytest.mark.parametrize("place", [0, 15, 16, 47, 48, 100, RECORD_BYTES - 1])
def test_a_changed_byte_is_seen(place: int) -> None:
    block = bytearray(encode_record(RECORD))
    block[place] ^= 1
    with pytest.raises(BadImage):
        parse_record(bytes(block))


def test_an_empty_card_is_no_image() -> None:
    with pytest.raises(BadImage, match="no tezsign image"):
        parse_record(bytes(RECORD_BYTES))
