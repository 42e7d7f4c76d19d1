"""Numbers that the board and the host must agree on. Nothing here does anything.

Changing a number here changes the wire: docs/protocol.md holds the version rule.
"""

from typing import Final

__all__ = [
    "ANSWERED_KEEP_BYTES",
    "ANSWERED_KEEP_COUNT",
    "BACKOFF_FIRST_S",
    "BACKOFF_LIMIT_S",
    "BULK_PACKET_FULL_SPEED",
    "BULK_PACKET_HIGH_SPEED",
    "ENABLED_SOCKET",
    "INTERFACE_MANAGE",
    "INTERFACE_NAMES",
    "INTERFACE_SIGN",
    "KEEP_ALIVE_S",
    "MANUFACTURER",
    "OUT_TRANSFER_BYTES",
    "PARTIAL_FRAME_S",
    "PAYLOAD_LIMIT_BYTES",
    "PRODUCT",
    "PRODUCT_ID",
    "PROTOCOL_VERSION",
    "QUEUE_LENGTH",
    "READY_LOOK",
    "READY_MAGIC",
    "READY_REPLY_BYTES",
    "READY_REQUEST",
    "READY_REQUEST_TYPES",
    "READY_SESSION_FOLLOWS",
    "READY_SOCKET",
    "SILENT_SESSION_S",
    "VENDOR_ID",
    "WORKERS",
]

PROTOCOL_VERSION: Final = 1

# USB identity (device and interface descriptors).
VENDOR_ID: Final = 0x9997
PRODUCT_ID: Final = 0x0001
MANUFACTURER: Final = "TzC"
PRODUCT: Final = "tezsign-gadget"
INTERFACE_SIGN: Final = 0
INTERFACE_MANAGE: Final = 1
INTERFACE_NAMES: Final = ("tezsign-0", "tezsign-1")
BULK_PACKET_FULL_SPEED: Final = 64
BULK_PACKET_HIGH_SPEED: Final = 512

# Vendor request "are you ready?": device to host, recipient interface (0xC1; 0x81 is accepted too).
# wValue says what the host is about to do.
# Reply, 8 bytes: offset 0 magic "TZSG" · 4 version u16 little-endian · 6 ready flag u8 · 7 zero.
READY_REQUEST: Final = 0x5A
READY_LOOK: Final = 0
READY_SESSION_FOLLOWS: Final = 1
READY_REQUEST_TYPES: Final = (0xC1, 0x81)
READY_MAGIC: Final = b"TZSG"
READY_REPLY_BYTES: Final = 8

# Local sockets on the board.
ENABLED_SOCKET: Final = "/run/tezsign/enabled.sock"
READY_SOCKET: Final = "/run/tezsign/ready.sock"

# Frames. OUT transfers are read in multiples of the packet size: FunctionFS drops the rest
# otherwise.
PAYLOAD_LIMIT_BYTES: Final = 256 * 1024
OUT_TRANSFER_BYTES: Final = 16 * 1024
PARTIAL_FRAME_S: Final = 0.25

# The request/response engine.
WORKERS: Final = 8
QUEUE_LENGTH: Final = 32
BACKOFF_FIRST_S: Final = 0.010
BACKOFF_LIMIT_S: Final = 1.0
KEEP_ALIVE_S: Final = 30.0
SILENT_SESSION_S: Final = 180.0
ANSWERED_KEEP_COUNT: Final = 1024
ANSWERED_KEEP_BYTES: Final = 512 * 1024
