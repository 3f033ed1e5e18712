"""Constants as a class rounds them."""

from __future__ import annotations

import struct


def bfloat16(value: float) -> float:
    """The nearest bfloat16, of two equally near ones the even one."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return float(struct.unpack("<f", struct.pack("<I", nearest))[0])
