"""What each opcode of a pickle does to the machine; none of them imports or runs anything."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable

from weightscope.checkpoint.pickle_machine import LONG_TEXT, MAX_BYTES, MAX_LINE, Global, Inert, Machine

MAX_DIGITS = 4300
MAX_INTEGER_BYTES = 1024

# An object's own bytes beside its content.
OBJECT = 64

Operation = Callable[[Machine], None]


def _number(form: str) -> Operation:
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def number(machine: Machine) -> None:
        machine.stack.append(unpack(machine.data, machine.position)[0])
        machine.position += size

    return number


def _byte(machine: Machine) -> None:
    # The most frequent number: as an item of the buffer it is had sooner than unpacked.
    machine.stack.append(machine.data[machine.position])
    machine.position += 1


def _sized(form: str, decode: Callable[[bytes], object], kind: str, limit: int = MAX_BYTES) -> Operation:
    packed = struct.Struct(form)
    unpack, size = packed.unpack_from, packed.size

    def sized(machine: Machine) -> None:
        length: int = unpack(machine.data, machine.position)[0]
        start = machine.position + size
        if length < 0 or length > limit:
            machine.fail(f"contains {kind} of {length:,} bytes")
        if length > machine.end - start:
            machine.cut_short()
        machine.position = start + length
        if length > LONG_TEXT:
            machine.stack.append(Inert(kind))
            return
        raw = machine.data[start : start + length]
        machine.spare -= _weight(raw)
        try:
            machine.stack.append(decode(raw))
        except ValueError:
            machine.fail(f"contains {kind} that is malformed")

    return sized


def _lined(decode: Callable[[bytes], object], kind: str, limit: int = MAX_LINE) -> Operation:
    def lined(machine: Machine) -> None:
        raw = machine.line(limit)
        machine.spare -= _weight(raw)
        try:
            machine.stack.append(decode(raw))
        except ValueError:
            machine.fail(f"contains {kind} that is malformed")

    return lined


def _weight(raw: bytes) -> int:
    """Bytes of the object that it is decoded into, at most: text with one wide character has four bytes for each."""
    return OBJECT + (len(raw) if raw.isascii() else 4 * len(raw))


def _constant(value: object) -> Operation:
    def constant(machine: Machine) -> None:
        machine.stack.append(value)

    return constant


def _refuse(what: str) -> Operation:
    def refuse(machine: Machine) -> None:
        machine.fail(what)

    return refuse


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _old_text(raw: bytes) -> str | bytes:
    """A Python 2 `str`: text where it can be, as torch reads it."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _quoted(raw: bytes) -> str | bytes:
    text = raw.strip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b'"', b"'"):
        raise ValueError(text)
    return _old_text(codecs.escape_decode(text[1:-1])[0])


def _integer(raw: bytes) -> int:
    return raw == b"01" if raw in (b"00", b"01") else int(raw, 0)


def _long(raw: bytes) -> int:
    return int(raw.removesuffix(b"L"))


def _packed(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _proto(machine: Machine) -> None:
    version = machine.data[machine.position]
    machine.position += 1
    if version > 5:
        machine.fail(f"is of protocol {version}")


def _frame(machine: Machine) -> None:
    length: int = struct.unpack_from("<Q", machine.data, machine.position)[0]
    machine.position += 8
    if length > machine.end - machine.position:
        machine.cut_short()


def _mark(machine: Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.marked()


def _pop_mark(machine: Machine) -> None:
    machine.marked()


def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


def _list(machine: Machine) -> None:
    items = machine.marked()
    machine.stack.append(items)


def _tuple(machine: Machine) -> None:
    items = machine.marked()
    machine.stack.append(tuple(items))


def _tuple1(machine: Machine) -> None:
    machine.stack[-1] = (machine.stack[-1],)


def _tuple2(machine: Machine) -> None:
    last = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], last)


def _tuple3(machine: Machine) -> None:
    last, middle = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], middle, last)


def _dict(machine: Machine) -> None:
    items = machine.marked()
    made: dict[object, object] = {}
    machine.put(made, items)
    machine.stack.append(made)


def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    _extend(machine, machine.stack[-1], [item])


def _appends(machine: Machine) -> None:
    items = machine.marked()
    _extend(machine, machine.stack[-1], items)


def _extend(machine: Machine, target: object, items: list[object]) -> None:
    if type(target) is not list:
        machine.fail("appends to something that is not a list")
    target.extend(items)


def _setitem(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.put(machine.stack[-1], [key, value])


def _setitems(machine: Machine) -> None:
    items = machine.marked()
    machine.put(machine.stack[-1], items)


def _get(machine: Machine) -> None:
    machine.stack.append(machine.memo[_index(machine)])


def _put(machine: Machine) -> None:
    machine.memo[_index(machine)] = machine.stack[-1]


def _index(machine: Machine) -> int:
    raw = machine.line(MAX_DIGITS)
    if not (raw.isdigit() and len(raw) <= 10):
        machine.fail("uses a memo index that is not a number")
    return int(raw)


def _binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[machine.data[machine.position]])
    machine.position += 1


def _binput(machine: Machine) -> None:
    machine.memo[machine.data[machine.position]] = machine.stack[-1]
    machine.position += 1


_UINT32 = struct.Struct("<I").unpack_from


def _long_binget(machine: Machine) -> None:
    machine.stack.append(machine.memo[_UINT32(machine.data, machine.position)[0]])
    machine.position += 4


def _long_binput(machine: Machine) -> None:
    machine.memo[_UINT32(machine.data, machine.position)[0]] = machine.stack[-1]
    machine.position += 4


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _global(machine: Machine) -> None:
    machine.stack.append(_named(machine))


def _named(machine: Machine) -> Global:
    try:
        return machine.find(_text(machine.line(LONG_TEXT)), _text(machine.line(LONG_TEXT)))
    except UnicodeDecodeError:
        machine.fail("uses a name that is not text")


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        machine.fail("uses a name that is not text")
    machine.stack.append(machine.find(module, name))


def _reduce(machine: Machine) -> None:
    arguments = machine.stack.pop()
    machine.stack[-1] = machine.call(machine.stack[-1], arguments)


def _newobj_ex(machine: Machine) -> None:
    if machine.stack.pop() != {}:
        machine.fail("makes an object with keyword arguments")
    _reduce(machine)


def _inst(machine: Machine) -> None:
    named = _named(machine)
    items = machine.marked()
    machine.stack.append(machine.call(named, tuple(items)))


def _obj(machine: Machine) -> None:
    items = machine.marked()
    machine.stack.append(machine.call(items[0], tuple(items[1:])))


def _build(machine: Machine) -> None:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)


def _binpersid(machine: Machine) -> None:
    machine.stack[-1] = machine.persistent(machine.stack[-1])


_EXTENSION = _refuse("uses an extension code, whose meaning is known only to the program that wrote it")
_OUT_OF_BAND = _refuse("refers to an out-of-band buffer")

# The opcodes of protocols 0 to 5, as Python's pickletools lists them. A set is a list here: nobody looks into it.
_OPERATIONS: dict[bytes, Operation] = {
    b"\x80": _proto, b"\x95": _frame, b"(": _mark, b"0": _pop, b"1": _pop_mark, b"2": _dup,
    b"N": _constant(None), b"\x88": _constant(True), b"\x89": _constant(False),
    b"I": _lined(_integer, "an integer", MAX_DIGITS), b"L": _lined(_long, "an integer", MAX_DIGITS),
    b"F": _lined(float, "a number", MAX_DIGITS),
    b"J": _number("<i"), b"K": _byte, b"M": _number("<H"), b"G": _number(">d"),
    b"\x8a": _sized("<B", _packed, "an integer"), b"\x8b": _sized("<i", _packed, "an integer", MAX_INTEGER_BYTES),
    b"S": _lined(_quoted, "text"), b"T": _sized("<i", _old_text, "text"), b"U": _sized("<B", _old_text, "text"),
    b"V": _lined(lambda raw: raw.decode("raw-unicode-escape"), "text"), b"X": _sized("<I", _text, "text"),
    b"\x8c": _sized("<B", _text, "text"), b"\x8d": _sized("<Q", _text, "text"),
    b"B": _sized("<I", bytes, "bytes"), b"C": _sized("<B", bytes, "bytes"), b"\x8e": _sized("<Q", bytes, "bytes"),
    b"\x96": _sized("<Q", bytes, "bytes"), b"\x97": _OUT_OF_BAND, b"\x98": _OUT_OF_BAND,
    b"]": _empty_list, b"l": _list, b"a": _append, b"e": _appends,
    b"\x8f": _empty_list, b"\x90": _appends, b"\x91": _list,
    b")": _constant(()), b"t": _tuple, b"\x85": _tuple1, b"\x86": _tuple2, b"\x87": _tuple3,
    b"}": _empty_dict, b"d": _dict, b"s": _setitem, b"u": _setitems,
    b"g": _get, b"h": _binget, b"j": _long_binget, b"p": _put, b"q": _binput, b"r": _long_binput, b"\x94": _memoize,
    b"c": _global, b"\x93": _stack_global, b"\x82": _EXTENSION, b"\x83": _EXTENSION, b"\x84": _EXTENSION,
    b"R": _reduce, b"\x81": _reduce, b"\x92": _newobj_ex, b"i": _inst, b"o": _obj, b"b": _build,
    b"P": _refuse("refers to its tensors in text (protocol 0), which loses them"), b"Q": _binpersid,
}  # fmt: skip

_UNKNOWN = _refuse("contains an unknown operation")
OPERATIONS = [_OPERATIONS.get(bytes([code]), _UNKNOWN) for code in range(256)]

# Bytes that an operation may leave behind, as CPython's allocator counts them; most push or place one reference.
_REFERENCE = 64
_WEIGHTS = {
    b"(": 112, b"]": 112, b"\x8f": 112, b"}": 144, b"d": 144,
    b"t": 96, b"\x85": 96, b"\x86": 96, b"\x87": 96,
    b"J": 80, b"M": 80, b"G": 80,
    b"p": 144, b"q": 144, b"r": 144, b"\x94": 144,
    b"R": 160, b"\x81": 160, b"\x92": 160, b"i": 160, b"o": 160, b"Q": 160,
}  # fmt: skip
WEIGHTS = [_WEIGHTS.get(bytes([code]), _REFERENCE) for code in range(256)]
