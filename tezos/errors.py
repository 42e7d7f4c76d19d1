"""What goes wrong in the Tezos layer: always bad input, since nothing here does any I/O."""

__all__ = ["BadEncoding", "BadKey", "BadPayload", "TezosError"]


class TezosError(Exception):
    """Root of the package's errors."""


class BadEncoding(TezosError):
    """A base58check text is not what it should be: characters, checksum, prefix or length."""


class BadKey(TezosError):
    """A secret out of range, a public key that is no point of its curve, a wrong type of key."""


class BadPayload(TezosError):
    """Bytes that are not exactly one of the consensus forms for that type of key."""
