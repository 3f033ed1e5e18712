"""safetensors files: headers that are right, then wrong in structure or bytes."""

from __future__ import annotations

from random import Random
from typing import Any

from fuzz.values import anything, damaged, dumped, number, text

DTYPES = {"F32": 4, "BF16": 2, "F16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F64": 8}
NAMES = (
    "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.up_proj.weight",
    "model.norm.weight", "lm_head.weight", "transformer.h.0.attn.bias", "a.weight_scale", "a", "b", "x.0.1.2",
)  # fmt: skip


def safetensors_file(random: Random) -> bytes:
    """A file of a few tensors, mostly with a header that is wrong somewhere."""
    header, size = layout(random)
    for _ in range(random.choice((0, 1, 1, 2))):
        _change(random, header)
    raw = dumped(random, header)
    if random.random() < 0.2:
        raw += b" " * random.randrange(9)
    return framed(random, raw, size)


def framed(random: Random, header: bytes, size: int) -> bytes:
    """The header with its length before it and data behind it, now and then too few or too many of either."""
    length = len(header)
    if random.random() < 0.1:
        length = number(random) % 2**64
    if random.random() < 0.1:
        size = max(0, size + random.randint(-9, 9))
    whole = length.to_bytes(8, "little") + header + bytes(size)
    return damaged(random, whole) if random.random() < 0.1 else whole


def layout(random: Random) -> tuple[dict[str, Any], int]:
    """A header that is right, and the bytes of data that it describes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}} if random.random() < 0.5 else {}
    end = 0
    for _ in range(random.randrange(5)):
        dtype = random.choice(list(DTYPES))
        shape = [random.choice((0, 1, 2, 3, 8)) for _ in range(random.randrange(4))]
        size = DTYPES[dtype]
        for side in shape:
            size *= side
        name = random.choice(NAMES) if random.random() < 0.8 else text(random)
        if name in header:
            continue
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    return header, end


def _change(random: Random, header: dict[str, Any]) -> None:
    if not header:
        header[text(random)] = anything(random)
        return
    name = random.choice(list(header))
    entry = header[name]
    kind = random.randrange(7)
    if kind == 0:
        header[text(random)] = header.pop(name)
    elif kind == 1:
        header[name] = anything(random)
    elif kind == 2 and name == "__metadata__" and isinstance(entry, dict):
        entry[text(random)] = anything(random)
    elif not isinstance(entry, dict) or not entry:
        header["__metadata__"] = anything(random)
    elif kind == 3 and isinstance(entry.get("shape"), list):
        entry["shape"].insert(0, number(random))
    elif kind == 4 and isinstance(entry.get("data_offsets"), list) and entry["data_offsets"]:
        entry["data_offsets"][random.randrange(len(entry["data_offsets"]))] = number(random)
    elif kind == 5:
        del entry[random.choice(list(entry))]
    else:
        entry[random.choice(("dtype", "shape", "data_offsets", text(random)))] = anything(random)
