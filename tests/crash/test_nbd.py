"""The recording disk, asked as QEMU asks it."""

import socket
from pathlib import Path
from struct import pack, unpack

import pytest

from tests.crash.nbd import serve_disk
from tests.crash.recording import FILE_SYSTEM_BYTES, Flush, Mark, Recorder, Recording, Write

_READ, _WRITE, _DISCONNECT, _FLUSH = range(4)


class Client:
    """As much of a client as the tests need."""

    def __init__(self, path: Path, size: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\1"
        self.socket.sendall(pack(">I", 1))
        self._option(8)
        assert unpack(">QIII", self.take(20))[1:] == (8, 0x80000001, 0)  # structured: not here
        self._option(7, pack(">IH", 0, 0))
        _, _, kind, length = unpack(">QIII", self.take(20))
        assert (kind, unpack(">HQH", self.take(length))) == (3, (0, size, 5))
        assert unpack(">QIII", self.take(20))[1:] == (7, 1, 0)

    def send(self, *requests: tuple[int, int, int, bytes]) -> None:
        """Command, cookie, offset, data (of a read: as many bytes as are wanted), all at once."""
        parts = []
        for command, cookie, offset, data in requests:
            parts.append(pack(">IHHQQI", 0x25609513, 0, command, cookie, offset, len(data)))
            parts.append(data if command == _WRITE else b"")
        self.socket.sendall(b"".join(parts))

    def expect(self, cookie: int, length: int = 0) -> bytes:
        assert unpack(">IIQ", self.take(16)) == (0x67446698, 0, cookie)
        return self.take(length)

    def take(self, count: int) -> bytes:
        return self.socket.recv(count, socket.MSG_WAITALL) if count else b""

    def close(self) -> None:
        self.send((_DISCONNECT, 0, 0, b""))
        self.socket.close()

    def _option(self, option: int, data: bytes = b"") -> None:
        self.socket.sendall(b"IHAVEOPT" + pack(">II", option, len(data)) + data)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    disk, recorder = bytearray(4096), Recorder()
    with serve_disk(tmp_path / "nbd", disk, recorder):
        client = Client(tmp_path / "nbd", 4096)
        client.send((_WRITE, 1, 512, b"x" * 512))
        client.expect(1)
        client.send((_READ, 2, 500, bytes(20)))
        assert client.expect(2, 20) == bytes(12) + b"x" * 8
        client.close()
    assert recorder.entries == [Write(512, b"x" * 512)]


def test_a_flush_covers_what_was_answered_before_it_was_sent(tmp_path: Path) -> None:
    recorder = Recorder()
    with serve_disk(tmp_path / "nbd", bytearray(4096), recorder):
        client = Client(tmp_path / "nbd", 4096)
        client.send((_WRITE, 1, 0, b"a"))
        client.expect(1)
        client.send((_WRITE, 2, 1, b"b"), (_FLUSH, 3, 0, b""), (_WRITE, 4, 2, b"c"))
        for cookie in (2, 3, 4):
            client.expect(cookie)
        client.send((_FLUSH, 5, 0, b""))
        client.expect(5)
        client.close()
    assert [entry for entry in recorder.entries if isinstance(entry, Flush)] == [Flush(1), Flush(3)]


def test_marks_are_kept_apart_and_no_flush_counts_them(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.write(FILE_SYSTEM_BYTES, b'{"n":1}'.ljust(512, b"\0"))
    recorder.write(0, b"a")
    recorder.flush(2)
    assert recorder.entries == [Mark('{"n":1}'), Write(0, b"a"), Flush(1)]


def test_a_client_that_goes_without_a_word_is_no_failure(tmp_path: Path) -> None:
    with serve_disk(tmp_path / "nbd", bytearray(512), Recorder()):
        Client(tmp_path / "nbd", 512).socket.close()


def test_nobody_has_to_come(tmp_path: Path) -> None:
    with serve_disk(tmp_path / "nbd", bytearray(512), Recorder()):
        pass
    assert not (tmp_path / "nbd").exists()


def test_a_stranger_is_reported(tmp_path: Path) -> None:
    def be_a_stranger() -> None:
        with serve_disk(tmp_path / "nbd", bytearray(512), Recorder()):
            client = Client(tmp_path / "nbd", 512)
            client.socket.sendall(bytes(28))
            assert client.take(1) == b""
            client.socket.close()

    with pytest.raises(OSError, match="does not speak NBD"):
        be_a_stranger()


def test_a_recording_is_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    entries = (Write(7, b"data"), Mark('{"n":2}'), Flush(1))
    recording = Recording(name="one", base=bytes(100) + b"base", entries=entries)
    recording.save(tmp_path / "file")
    assert Recording.load(tmp_path / "file") == recording
