"""Hostile texts, numbers and JSON values, and mutations of bytes."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

TEXTS = (
    "", "x", ".", "..", "/", "../../x", "/etc/passwd", "a/b", "C:\\x", "\x00", "\x1b[31mred", "\x07", "\x7f", "\x9b1m",
    "\u202ereversed", "\u2028", "\u200b", "\ud800", "\udfff", "\n::error::x", "::error::x", "##[error]x",
    "`x`", "[x](http://x)", "<b>", "@name", "|", "=1+1", "+1", "-1", "@x", "'", '"', "\\",
    "{}", "{0}", "{0-99999999}", "a.{0–99999999999}.b", "%n%s", "nan", "None", "9" * 20, "9" * 4400, "0." * 60,
    "x" * 600, "é" * 300, "model.layers.0.x", "\U0001f600",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4095, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40,
    2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -1, -2, -(2**31), -(2**63),
)  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, 1.5, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))


def text(random: Random) -> str:
    """A text that is empty, long, a path, an order to a terminal, or another that harms."""
    return random.choice(TEXTS)


def number(random: Random) -> int:
    """A number at the edge of something."""
    value = random.choice(NUMBERS)
    return value + random.randint(-2, 2) if random.random() < 0.2 else value


def anything(random: Random, depth: int = 2) -> Any:
    """A JSON value of any kind."""
    kind = random.randrange(9 if depth else 6)
    if kind == 0:
        return None
    if kind == 1:
        return random.random() < 0.5
    if kind in (2, 3):
        return number(random)
    if kind == 4:
        return random.choice(FLOATS)
    if kind == 5:
        return text(random)
    if kind == 6:
        return [anything(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 7:
        return {text(random): anything(random, depth - 1) for _ in range(random.randrange(4))}
    return [] if random.random() < 0.5 else {}


def mutated(random: Random, value: Any, times: int = 1) -> Any:
    """A copy of a JSON value with so many places of it changed."""
    whole = deepcopy(value)
    for _ in range(times):
        holder, key = _place(random, whole)
        if holder is None:
            return anything(random)
        _change(random, holder, key)
    return whole


def _place(random: Random, value: Any) -> tuple[Any, Any]:
    """A random place inside of a value: the object or list, and the key or index."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        holder = value
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        value = value[key]
        if random.random() < 0.4:
            break
    return holder, key


def _change(random: Random, holder: Any, key: Any) -> None:
    kind = random.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[text(random)] = holder.pop(key)
    elif kind == 2:
        holder[key] = [holder[key]]
    elif kind == 3 and isinstance(holder[key], int):
        holder[key] = number(random)
    elif kind == 4 and isinstance(holder[key], str):
        holder[key] += text(random)
    elif kind == 5:
        other = random.choice(list(holder.values()) if isinstance(holder, dict) else holder)
        holder[key] = deepcopy(other)
    else:
        holder[key] = anything(random)


def dumped(random: Random, value: Any) -> bytes:
    """The value as JSON, now and then with a repeated key or damaged bytes."""
    raw = json.dumps(value, ensure_ascii=random.random() < 0.7).encode("utf-8", "surrogatepass")
    if random.random() < 0.1 and raw[:1] == b"{" and len(raw) > 2:
        raw = raw[:-1] + b"," + raw[1:]
    return damaged(random, raw) if random.random() < 0.2 else raw


def damaged(random: Random, raw: bytes, times: int = 3) -> bytes:
    """The bytes with a few of them changed, lost, repeated or put in."""
    made = bytearray(raw)
    for _ in range(random.randint(1, times)):
        at = random.randrange(len(made) + 1)
        kind = random.randrange(6)
        if kind == 0:
            del made[at:]
        elif kind == 1:
            del made[at : at + random.choice((1, 2, 4, 8, 32))]
        elif kind == 2:
            made[at:at] = made[at : at + random.choice((1, 4, 16, 64))] * random.choice((1, 1, 2, 50))
        elif kind == 3:
            made[at:at] = random.randbytes(random.choice((1, 2, 4, 8)))
        elif kind == 4:
            size = random.choice((1, 2, 4, 8))
            made[at : at + size] = (number(random) % 256**size).to_bytes(size, random.choice(("little", "big")))
        elif at < len(made):
            made[at] ^= 1 << random.randrange(8)
    return bytes(made)
