"""The image's own files answer the version request; they may be absent."""

from pathlib import Path

from gadget.imageinfo import ImageInfo, load_image_info


def test_the_first_line_of_each_file_counts(tmp_path: Path) -> None:
    (tmp_path / ".image-version").write_bytes(b"1.2.3\nmore\n")
    (tmp_path / ".image-date").write_bytes(b"2026-11-20\n")
    assert load_image_info(tmp_path) == ImageInfo(version="1.2.3", date="2026-11-20")


def test_without_an_image_both_are_empty(tmp_path: Path) -> None:
    assert load_image_info(tmp_path / "absent") == ImageInfo(version="", date="")


def test_an_oversized_or_binary_file_is_cut_and_made_printable(tmp_path: Path) -> None:
    (tmp_path / ".image-version").write_bytes(b"\xff" * 5000)
    assert len(load_image_info(tmp_path).version) == 128
