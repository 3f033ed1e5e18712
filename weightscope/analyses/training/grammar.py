"""What --trainable says: `full`, parts joined by +, and `lora:r=16,targets=q_proj,v_proj`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from weightscope.analyses.training.parts import FULL, LANGUAGE, PARTS
from weightscope.errors import UsageError

EXAMPLES = "write full, projector, projector+language or lora:r=16,targets=q_proj,v_proj"
LORA_EXAMPLE = "write lora:r=16,targets=q_proj,v_proj or lora:r=16,targets=all-linear"
ALL_LINEAR = "all-linear"
# A dimension of a matrix has fewer digits.
MOST_DIGITS = 9


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """Low-rank adapters of rank `rank` beside the matrices that `targets` name."""

    rank: int
    targets: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be trained: whole parts of the model by their words, adapters, or both. `text` is what was written."""

    text: str
    parts: tuple[str, ...] = ()
    lora: Lora | None = None

    @classmethod
    def of(cls, text: str) -> Plan:
        """From what a user wrote.

        Raises:
            UsageError: an unknown part, `full` beside something else, LoRA without rank or targets.
        """
        terms = [term.strip() for term in text.split("+")]
        adapters = [term for term in terms if term.partition(":")[0].strip() == "lora"]
        parts = tuple(dict.fromkeys(term for term in terms if term not in adapters))
        for part in parts:
            if part not in PARTS:
                raise _unknown(part)
        if FULL in parts and len(terms) > 1:
            raise UsageError("--trainable full trains everything: nothing can be added to it", hint="write full alone")
        if len(adapters) > 1:
            raise UsageError("--trainable has lora twice", hint="name all targets in one")
        return cls(text=text, parts=parts, lora=_lora(adapters[0]) if adapters else None)


def _unknown(part: str) -> UsageError:
    from difflib import get_close_matches

    if not part:
        return UsageError("--trainable has an empty part", hint=EXAMPLES)
    near = get_close_matches(part.lower(), [*PARTS, "lora"], n=1)
    known = f"did you mean {near[0]}?" if near else f"parts are {FULL}, {LANGUAGE}, vision, projector, audio, lora:…"
    return UsageError(f"--trainable has no part {part!r}", hint=known)


def _lora(term: str) -> Lora:
    """`lora:r=16,targets=a,b`: what follows `targets=` up to the next `=` is a list."""
    settings: dict[str, list[str]] = {}
    key = ""
    for item in _items(term.partition(":")[2]):
        name, equals, value = (part.strip() for part in item.partition("="))
        if equals:
            key = name
            if key in settings:
                raise UsageError(f"--trainable lora has {key!r} twice", hint=LORA_EXAMPLE)
        elif key != "targets":
            raise UsageError(f"--trainable lora: {item!r} is no setting", hint=LORA_EXAMPLE)
        if key not in ("r", "targets"):
            raise UsageError(f"--trainable lora has no setting {key!r}, only r and targets", hint=LORA_EXAMPLE)
        settings.setdefault(key, []).append(value if equals else item)
    return Lora(rank=_rank(settings.get("r", [""])[0]), targets=_targets(settings.get("targets", ())))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")] if text.strip() else []


def _rank(text: str) -> int:
    if not text:
        raise UsageError("--trainable lora has no rank", hint=LORA_EXAMPLE)
    if not (text.isascii() and text.isdecimal()) or int(text[:MOST_DIGITS]) == 0:
        raise UsageError(f"--trainable lora: the rank {text!r} is not a number above 0", hint=LORA_EXAMPLE)
    if len(text) > MOST_DIGITS:
        raise UsageError(f"--trainable lora: the rank has {len(text):,} digits", hint=LORA_EXAMPLE)
    return int(text)


def _targets(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(names))
    if not found:
        raise UsageError("--trainable lora has no targets", hint=LORA_EXAMPLE)
    if "" in found:
        raise UsageError("--trainable lora has an empty target", hint=LORA_EXAMPLE)
    wide = [name for name in found if name.lower() == ALL_LINEAR]
    if wide and len(found) > 1:
        raise UsageError(f"--trainable lora: {ALL_LINEAR} stands for all targets", hint=f"write targets={ALL_LINEAR}")
    return (ALL_LINEAR,) if wide else found
