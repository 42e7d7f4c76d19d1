"""The structures are laid out as their tables say, and the five calls reach the kernel."""

import ctypes
import os
import re
from errno import EINVAL
from pathlib import Path

import pytest

from gadget.aio_abi import (
    IOCB_CMD_PWRITE,
    IOCB_FLAG_RESFD,
    Iocb,
    IocbList,
    IoEvent,
    io_cancel,
    io_destroy,
    io_getevents,
    io_setup,
    io_submit,
)

_ROW = re.compile(r"^ +(\d+) +(\d+) +[us]\d+ +(\w+)", re.MULTILINE)


@pytest.mark.parametrize(("structure", "size"), [(Iocb, 64), (IoEvent, 32)])
def test_structure_is_laid_out_as_its_table_says(
    structure: type[ctypes.Structure], size: int
) -> None:
    rows = [(int(row[1]), int(row[2]), row[3]) for row in _ROW.finditer(structure.__doc__ or "")]
    fields = [structure.__dict__[name] for name, *_ in structure._fields_]
    names = [name for name, *_ in structure._fields_]
    assert rows == [(f.offset, f.size, n) for f, n in zip(fields, names, strict=True)]
    assert sum(row[1] for row in rows) == ctypes.sizeof(structure) == size


def test_request_completes_with_its_token_and_counts_on_its_eventfd(tmp_path: Path) -> None:
    context = io_setup(2)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    eventfd = os.eventfd(0)
    try:
        iocb = Iocb(
            aio_data=7,
            aio_lio_opcode=IOCB_CMD_PWRITE,
            aio_fildes=fd,
            aio_buf=b"a\0b",
            aio_nbytes=3,
            aio_flags=IOCB_FLAG_RESFD,
            aio_resfd=eventfd,
        )
        io_submit(context, IocbList(ctypes.pointer(iocb)))
        assert os.eventfd_read(eventfd) == 1
        events = (IoEvent * 2)()
        assert io_getevents(context, events) == 1
        assert (events[0].data, events[0].res) == (7, 3)
        assert os.pread(fd, 9, 0) == b"a\0b"
        assert io_getevents(context, events) == 0
        assert io_cancel(context, iocb) == EINVAL
    finally:
        os.close(eventfd)
        os.close(fd)
        io_destroy(context)


def test_refused_calls_raise_their_errno() -> None:
    context = io_setup(1)
    io_destroy(context)
    events = (IoEvent * 1)()
    with pytest.raises(OSError, match="io_getevents") as caught:
        io_getevents(context, events)
    assert caught.value.errno == EINVAL
    with pytest.raises(OSError, match="io_destroy"):
        io_destroy(context)
    with pytest.raises(OSError, match="io_submit"):
        io_submit(context, IocbList(ctypes.pointer(Iocb())))
    with pytest.raises(OSError, match="io_setup"):
        io_setup(0)
