# What this project uses of msgpack 1.x (it ships no types).
from collections.abc import Callable

class ExtType:
    def __init__(self, code: int, data: bytes) -> None: ...

class Timestamp:
    def __init__(self, seconds: int, nanoseconds: int = ...) -> None: ...

def packb(
    o: object,
    *,
    default: Callable[[object], object] | None = ...,
    use_bin_type: bool = ...,
    strict_types: bool = ...,
) -> bytes: ...
def unpackb(
    packed: bytes | bytearray | memoryview,
    *,
    raw: bool = ...,
    use_list: bool = ...,
    strict_map_key: bool = ...,
    object_pairs_hook: Callable[[list[tuple[object, object]]], object] | None = ...,
    ext_hook: Callable[[int, bytes], object] = ...,
    max_str_len: int = ...,
    max_bin_len: int = ...,
    max_array_len: int = ...,
    max_map_len: int = ...,
    max_ext_len: int = ...,
) -> object: ...
