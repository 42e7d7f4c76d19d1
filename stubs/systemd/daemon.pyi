# What this project uses of systemd-python 235 (it ships no types).
from collections.abc import Sequence

def notify(
    status: str,
    unset_environment: bool = False,
    pid: int = 0,
    fds: Sequence[int] = ...,
) -> bool: ...
def listen_fds_with_names(unset_environment: bool = True) -> dict[int, str]: ...
