"""Names of features become indices of weights."""

import zlib


def bucket(name: str) -> int:
    """Returns the 32-bit hash of a feature's name (CRC-32 of its UTF-8), the same on every platform."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))
