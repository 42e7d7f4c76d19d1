"""What /proc tells of this process."""

import os
import threading

from gadget.health.process_figures import read_process

STACK_BYTES = 512 * 1024


def test_it_tells_what_the_process_has() -> None:
    before = read_process()
    kept = b"\1" * (32 << 20)
    files = [os.dup(0) for _ in range(5)]
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    after = read_process()
    release.set()
    thread.join()
    for file in files:
        os.close(file)
    assert len(kept) <= after.heap_bytes - before.heap_bytes < len(kept) + (8 << 20)
    assert after.heap_bytes < after.rss_bytes <= after.peak_bytes
    assert after.descriptors - before.descriptors == len(files)
    assert after.threads - before.threads == 1
    assert 0 < after.main_stack_bytes < 8 << 20
    assert after.cpu_seconds >= before.cpu_seconds


def test_a_look_leaves_the_stacks_of_threads_as_they_were_set() -> None:
    """threading.stack_size() without an argument sets the system's default again."""
    before = threading.stack_size(STACK_BYTES)
    read_process()
    assert threading.stack_size(before) == STACK_BYTES
