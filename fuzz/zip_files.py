"""Zip archives written field by field, so that each field of each record can lie."""

from __future__ import annotations

import struct
import zlib
from random import Random

from fuzz.values import damaged, number

LOCAL, CENTRAL, END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"
END64, LOCATOR64 = "<4sQ2H2L4Q", "<4sLQL"
LIMITS = {"H": 16, "L": 32, "Q": 64}


def zip_file(random: Random, members: dict[bytes, bytes]) -> bytes:
    """An archive of these members, with a field of a record wrong now and then."""
    body, directory = bytearray(), bytearray()
    for name, content in members.items():
        method = 8 if name.endswith(b".pkl") and random.random() < 0.3 else 0
        stored = _deflated(content) if method else content
        sum_ = zlib.crc32(content)
        padding = bytes(random.choice((0, 0, 13, 60)))
        start = len(body)
        sizes = (sum_, len(stored), len(content), len(name))
        body += record(random, LOCAL, b"PK\x03\x04", 20, 0, method, 0, 0, *sizes, len(padding))
        body += name + padding + stored
        extra = struct.pack("<HHQ", 1, 8, len(content)) if random.random() < 0.1 else b""
        tail = (len(extra), 0, 0, 0, 0, start)
        directory += record(random, CENTRAL, b"PK\x01\x02", 20, 20, 0, method, 0, 0, *sizes, *tail) + name + extra
    if random.random() < 0.02:
        directory += bytes(directory)
    ends = _ends(random, len(members), len(directory), len(body))
    whole = bytes(body + directory) + ends
    return damaged(random, whole) if random.random() < 0.15 else whole


def record(random: Random, form: str, *fields: int | bytes) -> bytes:
    """A record with these fields, one of them now and then another."""
    values = list(fields)
    if random.random() < 0.03:
        kinds = [kind for kind in _kinds(form) if kind != "s"]
        at = random.randrange(len(kinds))
        values[at + 1] = number(random) % 2 ** LIMITS[kinds[at]]
    return struct.pack(form, *values)


def _ends(random: Random, members: int, size: int, start: int) -> bytes:
    ends = b""
    if random.random() < 0.2:
        ends += record(random, END64, b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, size, start)
        ends += record(random, LOCATOR64, b"PK\x06\x07", 0, start + size, 1)
        if random.random() < 0.5:
            members, size, start = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    comment = bytes(random.choice((0, 0, 0, 30)))
    return ends + record(random, END, b"PK\x05\x06", 0, 0, members, members, size, start, len(comment)) + comment


def _kinds(form: str) -> str:
    """A letter for each field of a struct format: `2H` is `HH`, `4s` is one."""
    kinds, count = "", ""
    for letter in form[1:]:
        if letter.isdigit():
            count += letter
        else:
            kinds += letter if letter == "s" else letter * int(count or 1)
            count = ""
    return kinds


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
