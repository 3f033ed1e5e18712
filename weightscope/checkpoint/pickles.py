"""Reads pickles without the pickle module: plain containers, and inert markers for the names that are allowed."""

from __future__ import annotations

import struct
from collections.abc import Callable

from weightscope.checkpoint.pickle_machine import Global, Inert, Machine
from weightscope.checkpoint.pickle_operations import OPERATIONS, WEIGHTS

_STOP = ord(".")
# A mapping's item weighs about as much as this many characters.
ITEM = 64


def load(machine: Machine) -> object:
    """The value of the next pickle in the machine's buffer, which may hold several; it stops right behind it."""
    machine.stack, machine.marks, machine.memo = [], [], {}
    data, stop, used = machine.data, _STOP, 0
    try:
        # `spare` is less after operations that build something large; the others are counted here.
        while used < machine.spare:
            code = data[machine.position]
            machine.position += 1
            if code == stop:
                machine.spare -= used
                return machine.stack.pop()
            used += WEIGHTS[code]
            OPERATIONS[code](machine)
    except struct.error:
        machine.cut_short()
    except IndexError:
        if machine.position >= machine.end:
            machine.cut_short()
        machine.fail("takes more from its stack than it pushed")
    except KeyError as error:
        machine.fail(f"refers to memo entry {error}, which does not exist")
    return machine.fail(f"builds more than {machine.most:,} bytes of objects")


def make_mapping(machine: Machine, items: object = ()) -> dict[object, object]:
    """A plain dict of a mapping's items, or of pairs.

    Raises:
        TypeError: they are neither.
    """
    made: dict[object, object] = {}
    if type(items) is dict:
        machine.copying(ITEM * len(items))
        return dict(items)
    if type(items) is not list and type(items) is not tuple:
        raise TypeError(type(items))
    machine.copying(ITEM * len(items))
    for pair in items:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(type(pair))
        machine.put(made, list(pair))
    return made


def _make_default(machine: Machine, factory: object = None, items: object = ()) -> dict[object, object]:
    if factory is not None and not (isinstance(factory, Global) and factory.name in PLAIN):
        machine.fail("uses a defaultdict with an unsupported factory")
    return make_mapping(machine, items)


def _make_sequence(machine: Machine, items: object = ()) -> object:
    """The same items, uncopied: what a pickle makes a set, list or tuple of is not used otherwise."""
    if type(items) is dict:
        return []
    if not isinstance(items, list | tuple):
        machine.fail("builds a collection from a value that is not one")
    return items


def _make_bytes(machine: Machine, text: object = b"", encoding: object = "latin1") -> object:
    """What Python 3 writes for bytes in a protocol that has none: `_codecs.encode(text, "latin1")`."""
    if encoding not in ("latin1", "latin-1", "utf-8", "utf8") or not isinstance(text, str | bytes | Inert):
        raise TypeError(encoding)
    if not isinstance(text, str):
        return text
    machine.copying(len(text))
    return text.encode("latin1" if encoding in ("latin1", "latin-1") else "utf-8")


def _make_complex(_: Machine, real: object, imaginary: object = 0.0) -> complex:
    if not isinstance(real, float | int) or not isinstance(imaginary, float | int):
        raise TypeError(real)
    try:
        return complex(real, imaginary)
    except OverflowError as error:
        raise ValueError(real) from error


def _make_slice(_: Machine, *_bounds: object) -> Inert:
    return Inert("slice")


_BUILTIN = ("builtins", "__builtin__")
_BUILTINS: dict[str, Callable[..., object] | None] = {
    "dict": make_mapping,
    "set": _make_sequence,
    "frozenset": _make_sequence,
    "list": _make_sequence,
    "tuple": _make_sequence,
    "bytearray": _make_bytes,
    "bytes": _make_bytes,
    "complex": _make_complex,
    "slice": _make_slice,
    "range": _make_slice,
    "xrange": _make_slice,
    "int": None,
    "float": None,
    "str": None,
    "bool": None,
    "long": None,
    "unicode": None,
    "object": None,
    "Ellipsis": None,
}

# What is plain data whoever wrote it; nothing else than these can be a defaultdict's factory.
PLAIN: dict[str, Global] = {
    entry.name: entry
    for entry in (
        Global("collections.OrderedDict", make_mapping),
        Global("collections.defaultdict", _make_default),
        Global("collections.Counter", make_mapping),
        Global("_codecs.encode", _make_bytes),
        *(Global(f"{package}.{name}", make) for package in _BUILTIN for name, make in _BUILTINS.items()),
    )
}
