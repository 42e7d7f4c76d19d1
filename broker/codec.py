"""Messages to msgpack and back. Strict: what is not exactly one of our messages is BadMessage.

On the wire: one map with one key, the operation, whose value is a map of all fields of the
dataclass. Sizes, types, missing, unknown and double keys, extension types and bytes after the end
are checked here, driven by the type hints of the dataclasses; ranges are checked by their
constructors. Pure. Called by the two ends' own code, not by `broker.peer`, which carries bytes.
Source: docs/protocol.md.
"""

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Final, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import msgpack

from broker import messages
from broker.contract import PAYLOAD_LIMIT_BYTES
from broker.errors import BadMessage, UnknownRequest
from broker.health_messages import HEALTH_REPORT_LIMIT

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response"]

_Message = TypeVar("_Message")


class _Limits(TypedDict):
    max_str_len: int
    max_bin_len: int
    max_array_len: int


_INT_LIMIT: Final = 2**31 - 1
# These bound what nested containers may allocate before their shape is refused.
_REQUEST_LIMITS: Final = _Limits(max_str_len=1024, max_bin_len=8192, max_array_len=64)
_RESPONSE_LIMITS: Final = _Limits(
    max_str_len=8000, max_bin_len=HEALTH_REPORT_LIMIT, max_array_len=1000
)
_MAP_LIMIT: Final = 16


def encode_request(message: messages.Request) -> bytes:
    """Returns the payload of a request frame."""
    return _encode(message)


def encode_response(message: messages.Response) -> bytes:
    """Returns the payload of a response frame."""
    return _encode(message)


def decode_request(payload: bytes) -> messages.Request:
    """Raises BadMessage, or UnknownRequest where only the operation is not known."""
    return _decode(payload, _REQUESTS, _REQUEST_LIMITS)


def decode_response(payload: bytes) -> messages.Response:
    """Raises BadMessage; UnknownRequest is one, for an operation that is not known."""
    return _decode(payload, _RESPONSES, _RESPONSE_LIMITS)


def _encode(message: messages.Request | messages.Response) -> bytes:
    payload = msgpack.packb({message.op: message}, default=_to_map)
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise ValueError(f"a message of {len(payload)} bytes is over the payload limit")
    return payload


def _to_map(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in _NAMES[type(value)]}


def _decode(
    payload: bytes, readers: dict[object, Callable[[object], _Message]], limits: _Limits
) -> _Message:
    try:
        top = _unpack(payload, limits)
    except ValueError:  # its text may quote the payload
        top = None
    if type(top) is not tuple or len(top) != 1:
        raise BadMessage("not one msgpack map with one key, within the limits")
    ((op, body),) = top
    read = readers.get(op)
    if read is None:
        raise UnknownRequest("the operation is not known")
    try:
        return read(body)
    except ValueError as error:
        problem = str(error)
    raise BadMessage(problem)  # outside the handler: the error keeps no context


def _unpack(payload: bytes, limits: _Limits) -> object:
    # A map comes out as a tuple of pairs: it can't be taken for an array, which is a list, and keys
    # that come twice stay visible. Extension types are refused by their length, or by their type.
    return msgpack.unpackb(
        payload,
        strict_map_key=True,
        object_pairs_hook=tuple,
        max_map_len=_MAP_LIMIT,
        max_ext_len=0,
        **limits,
    )


def _message_reader(message: type[_Message]) -> Callable[[object], _Message]:
    """Returns a function from unpacked pairs to the dataclass; it raises ValueError."""
    hints = get_type_hints(message)
    names = tuple(field.name for field in fields(message))  # type: ignore[arg-type]
    readers = tuple((name, _value_reader(hints[name], name)) for name in names)
    count = len(names)
    shape = f"{message.__name__} is a map of {', '.join(names) or 'nothing'}"

    def read(value: object) -> _Message:
        if type(value) is not tuple or len(value) != count:
            raise ValueError(shape)
        values = dict(value)
        for name, read_value in readers:
            if name not in values:
                raise ValueError(shape)
            values[name] = read_value(values[name])
        return message(**values)

    return read


def _value_reader(hint: object, name: str) -> Callable[[object], object]:
    arguments = get_args(hint)
    if isinstance(hint, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return _optional_reader(_value_reader(inner, name))
    if get_origin(hint) is tuple:
        return _array_reader(_value_reader(arguments[0], name), name)
    if isinstance(hint, type) and is_dataclass(hint):
        return _message_reader(hint)
    return _EXACT_READERS[hint](name)


def _optional_reader(read: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else read(value)


def _array_reader(read: Callable[[object], object], name: str) -> Callable[[object], object]:
    def read_array(value: object) -> tuple[object, ...]:
        if type(value) is not list:
            raise ValueError(f"{name} is not an array")
        return tuple(map(read, value))

    return read_array


def _exact_reader(exact: type) -> Callable[[str], Callable[[object], object]]:
    def named(name: str) -> Callable[[object], object]:
        def read(value: object) -> object:
            if type(value) is not exact:  # bool is not int here
                raise ValueError(f"{name} is not {exact.__name__}")
            return value

        return read

    return named


def _int_reader(name: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if type(value) is not int or not 0 <= value <= _INT_LIMIT:
            raise ValueError(f"{name} is not an integer in 0..{_INT_LIMIT}")
        return value

    return read


_EXACT_READERS: Final[dict[object, Callable[[str], Callable[[object], object]]]] = {
    str: _exact_reader(str),
    bytes: _exact_reader(bytes),
    bool: _exact_reader(bool),
    int: _int_reader,
}
_REQUESTS: Final[dict[object, Callable[[object], messages.Request]]] = {
    kind.op: _message_reader(kind) for kind in get_args(messages.Request)
}
_RESPONSES: Final[dict[object, Callable[[object], messages.Response]]] = {
    kind.op: _message_reader(kind) for kind in get_args(messages.Response)
}
_NAMES: Final = {
    kind: tuple(field.name for field in fields(kind))
    for kind in (
        *get_args(messages.Request),
        *get_args(messages.Response),
        messages.KeyStatus,
        messages.KeyOutcome,
        messages.MarksStatus,
        messages.MarkStatus,
        messages.KeyMarks,
        messages.ChainEntry,
        messages.MarkEntry,
    )
}
