"""Files of torch.save, both its zip archives and its older format, with pickles put together from opcodes."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from fuzz.values import damaged, number, text
from fuzz.zip_files import zip_file

GLOBALS = (
    b"torch._utils\n_rebuild_tensor_v2\n", b"torch._utils\n_rebuild_parameter\n", b"torch._utils\n_rebuild_tensor\n",
    b"collections\nOrderedDict\n", b"collections\ndefaultdict\n", b"collections\nCounter\n", b"_codecs\nencode\n",
    b"builtins\nset\n", b"builtins\ndict\n", b"builtins\nbytearray\n", b"builtins\ncomplex\n", b"builtins\nslice\n",
    b"torch\nFloatStorage\n", b"torch\nBFloat16Storage\n", b"torch\nQInt8Storage\n", b"torch.storage\nUntypedStorage\n",
    b"torch\ndevice\n", b"torch\nSize\n", b"torch\nfloat16\n", b"os\nsystem\n", b"builtins\neval\n", b"numpy\ndtype\n",
    b"torch.serialization\n_get_layout\n", b"numpy.core.multiarray\nscalar\n", b"argparse\nNamespace\n",
)  # fmt: skip
BARE = b"(0 12NNQ)]}lteausdbRo.\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98P".replace(b" ", b"")
SIZES = (0, 1, 2, 3, 5, 8)
NAMES = ("a", "b.weight", "layers.0.x")
# Storages that tensors share, and float32 numbers in each.
STORAGES, ELEMENTS = 2, 64
DISTRIBUTED = Path(__file__).parents[1] / "fixtures" / "runs" / "fsdp" / ".metadata"


def torch_file(random: Random) -> bytes:
    """A file as torch.save writes it, mostly wrong somewhere."""
    return archive(random) if random.random() < 0.6 else legacy(random)


def archive(random: Random) -> bytes:
    """A zip archive of torch.save."""
    tensors = random.choice((1, 2, 3))
    members = {
        b"archive/data.pkl": pickle(random, tensors),
        b"archive/byteorder": random.choice((b"little",) * 40 + (b"big", b"", b"middle" * 30)),
        **{b"archive/data/%d" % key: bytes(_size(random)) for key in range(min(tensors, STORAGES))},
    }
    if random.random() < 0.1:
        members[random.choice((b"archive/code/x.py", b"other/data.pkl", b"archive/constants.pkl", b"../x", b""))] = b""
    return zip_file(random, members)


def legacy(random: Random) -> bytes:
    """Five pickles in a row, then each storage's length and bytes."""
    magic = b"\x80\x02\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    system = b"\x80\x02}(X\x10\x00\x00\x00protocol_versionM\xe9\x03X\r\x00\x00\x00little_endian\x88u."
    tensors = random.choice((1, 2, 3))
    storages = range(min(tensors, STORAGES))
    keys = b"\x80\x02](" + b"".join(unicode(str(key)) for key in storages) + b"e."
    parts = [magic, b"\x80\x02M\xe9\x03.", system, pickle(random, tensors, legacy=True), keys]
    for _ in storages:
        count = ELEMENTS if random.random() < 0.9 else number(random)
        parts.append(struct.pack("<q", max(-(2**63), min(count, 2**63 - 1))) + bytes(_size(random)))
    if random.random() < 0.3:
        at = random.randrange(len(parts))
        parts[at] = random.choice((b"", damaged(random, parts[at]), pickle(random, 1), parts[at] * 2))
    whole = b"".join(parts)
    return damaged(random, whole) if random.random() < 0.2 else whole


def _size(random: Random) -> int:
    return 4 * ELEMENTS if random.random() < 0.9 else random.choice((0, 4, 24, 1000))


def pickle(random: Random, tensors: int, *, legacy: bool = False) -> bytes:
    """A pickle of a few tensors with some of its operations changed; now and then of operations alone."""
    if random.random() < 0.15:
        return b"\x80\x02" + b"".join(operation(random) for _ in range(random.randrange(40))) + b"."
    operations = state_dict(random, tensors, legacy=legacy)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        _change(random, operations)
    return b"".join(operations)


def state_dict(random: Random, tensors: int, *, legacy: bool) -> list[bytes]:
    """The operations of a pickle that is right."""
    made = [b"\x80\x02", b"}", b"q\x00", b"("]
    for at in range(tensors):
        made += [unicode(NAMES[at] if random.random() < 0.9 else text(random))]
        made += tensor(random, str(at % STORAGES), legacy=legacy)
    return [*made, b"u", b"."]


def tensor(random: Random, key: str, *, legacy: bool) -> list[bytes]:
    """A tensor as `_rebuild_tensor_v2` makes one of a storage outside of the pickle."""
    shape = [random.choice(SIZES) for _ in range(random.randrange(1, 3))]
    strides = [shape[1], 1] if len(shape) == 2 else [1]
    storage = [b"(", unicode("storage"), b"ctorch\nFloatStorage\n", unicode(key), unicode("cpu"), integer(ELEMENTS)]
    storage += [*([b"N"] if legacy else []), b"t", b"Q"]
    made = [b"ctorch._utils\n_rebuild_tensor_v2\n", b"(", *storage, integer(0)]
    for sides in (shape, strides):
        made += [b"(", *map(integer, sides), b"t"]
    return [*made, b"\x89", b"ccollections\nOrderedDict\n", b")", b"R", b"t", b"R"]


def operation(random: Random) -> bytes:
    """One operation, with an argument that harms where it takes one."""
    kind = random.randrange(10)
    if kind < 4:
        return bytes([random.choice(BARE)])
    if kind == 4:
        return b"c" + random.choice(GLOBALS)
    if kind == 5:
        return random.choice((b"h", b"q")) + bytes([random.randrange(4)])
    if kind == 6:
        return random.choice((b"j", b"r")) + struct.pack("<I", number(random) % 2**32)
    if kind == 7:
        return integer(number(random))
    if kind == 8:
        return unicode(text(random))
    return random.choice((
        b"I" + str(number(random)).encode() + b"\n", b"F" + text(random).encode("utf-8", "replace") + b"\n",
        b"V\\ud800\n", b"S'x'\n", b"Sx\n", b"L9999L\n", b"G" + random.randbytes(8), b"p0\n", b"g0\n", b"g99999999999\n",
        b"\x95" + struct.pack("<Q", number(random) % 2**64), b"\x8d" + struct.pack("<Q", number(random) % 2**64),
        b"\x8e" + struct.pack("<Q", 4) + b"abcd", b"\x96" + struct.pack("<Q", 2) + b"ab", b"\x82\x01",
        b"B" + struct.pack("<I", number(random) % 2**32), b"\x8b" + struct.pack("<i", 2) + b"ab", random.randbytes(1),
        b"i" + random.choice(GLOBALS), b"\x80" + random.randbytes(1), b"\x8c\x02os", b"\x8c\x06system",
    ))  # fmt: skip


def unicode(value: str) -> bytes:
    """The operation that pushes a text."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    """The operation that pushes a whole number."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(20, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _change(random: Random, operations: list[bytes]) -> None:
    at = random.randrange(len(operations))
    kind = random.randrange(6)
    if kind == 0 and len(operations) > 1:
        del operations[at]
    elif kind == 1:
        operations.insert(at, operation(random))
    elif kind == 2:
        operations[at] = operation(random)
    elif kind == 3:
        operations[at:at] = operations[at : at + random.randrange(1, 8)] * random.choice((1, 2, 30))
    elif kind == 4:
        other = random.randrange(len(operations))
        operations[at], operations[other] = operations[other], operations[at]
    else:
        operations[at] = damaged(random, operations[at], 1)


def distributed_file(random: Random) -> bytes:
    """A `.metadata` of torch.distributed.checkpoint, mostly with something wrong in its pickle."""
    raw = DISTRIBUTED.read_bytes()
    return damaged(random, raw, times=random.choice((1, 3))) if random.random() < 0.95 else raw
