"""The state of a pickle machine that builds plain containers and inert markers, and what bounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where

# What a hostile pickle can make us hold is bounded by these: its own length, and what it builds, weighed object by
# object. A tensor takes some 33 operations and 3,500 bytes.
MAX_BYTES = 1 << 28
MAX_BUILT = 3 << 27
MAX_COPIED = 1 << 26
MAX_LINE = 1 << 20
MAX_ARGUMENTS = 64
# Longer strings and bytes are no names: they are skipped, not kept.
LONG_TEXT = 1 << 16
# Python hashes smaller integers to themselves, so that no choice of keys makes a dict slow.
PLAIN_KEY = 1 << 60

DAMAGED = "the file is damaged or was crafted to mislead: download or save it again"
SAVE_AGAIN = "load it with torch, only if you trust its source, and save its state_dict alone, best as safetensors"


def malformed(what: str, where: Where) -> NoReturn:
    """Raise the error of a file that is not what its writer makes."""
    raise CheckpointError(what, where=where, hint=DAMAGED, code="malformed-header")


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A name that a pickle may use: `make` builds what calling it stands for, `dtype` is its element type if any."""

    name: str
    make: Callable[..., object] | None = None
    dtype: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Inert:
    """A value that is not looked at, or a dict key that is not hashed: only what kind it was."""

    kind: str


@dataclass(slots=True, eq=False)
class Made:
    """An object of a class that only holds data: what it was called with, and the state that it was given."""

    name: str
    arguments: tuple[object, ...]
    state: object = None


class Machine:
    """Where the reading of a buffer of pickles stands, and what it may name."""

    __slots__ = (
        "_copied", "_persistent", "_set_state", "_supported", "_unsupported",
        "data", "end", "marks", "memo", "most", "passed_over", "position", "spare", "stack", "where",
    )  # fmt: skip

    def __init__(
        self,
        data: bytes,
        *,
        where: Where,
        supported: Mapping[str, Global],
        unsupported: Mapping[str, str] | None = None,
        persistent: Callable[[Machine, object], object] | None = None,
        set_state: Callable[[Machine, object, object], None] | None = None,
        most: int | None = None,
    ) -> None:
        self.data = data
        self.end = min(len(data), MAX_BYTES)
        self.where = where
        self.position = 0
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.most = self.spare = most or MAX_BUILT
        # What was not looked at: what it is, and the key at which it was met first.
        self.passed_over: dict[str, str] = {}
        self._supported = supported
        self._unsupported = unsupported or {}
        self._persistent = persistent
        self._set_state = set_state
        self._copied = 0

    def fail(self, what: str) -> NoReturn:
        """Raise: the pickle is not one."""
        raise CheckpointError(
            f"pickle {what} (before its byte {self.position:,})",
            where=self.where, hint=DAMAGED, code="malformed-header",
        )  # fmt: skip

    def cut_short(self) -> NoReturn:
        """Raise: the file ends too early."""
        if self.end < len(self.data):
            self.fail(f"is longer than {MAX_BYTES:,} bytes")
        raise CheckpointError(
            f"ends in the middle of its pickle (after {self.end:,} bytes)",
            where=self.where, hint="the file is incomplete: download or save it again", code="truncated-file",
        )  # fmt: skip

    def copying(self, count: int) -> None:
        """Account for a copy of something that a pickle may name again and again."""
        self._copied += count
        self.spare -= count
        if self._copied > MAX_COPIED:
            self.fail("copies its own contents too many times")

    def line(self, limit: int = MAX_LINE) -> bytes:
        """The bytes up to the next line feed, which is passed over."""
        stop = self.data.find(b"\n", self.position, min(self.end, self.position + limit))
        if stop < 0:
            if self.end - self.position <= limit:
                self.cut_short()
            self.fail("contains a line without an end")
        line = self.data[self.position : stop]
        self.position = stop + 1
        return line

    def marked(self) -> list[object]:
        """What was pushed since the last mark, which goes."""
        items = self.stack
        if not self.marks:
            self.fail("uses a mark that it has not set")
        self.stack = self.marks.pop()
        return items

    def find(self, module: str, name: str) -> Global:
        """The allowed name, or an error that says which one was asked for."""
        full = f"{module}.{name}"
        found = self._supported.get(full)
        if found is not None:
            return found
        place = self._key()
        if full in self._unsupported:
            raise NotImplementedByWeightscope(
                f"holds {self._unsupported[full]}{place}, which weightscope does not read",
                where=self.where, hint=SAVE_AGAIN,
            )  # fmt: skip
        raise CheckpointError(
            f"its pickle names {full}{place}, which weightscope does not run",
            where=self.where, hint=SAVE_AGAIN, code="unsafe-pickle",
        )  # fmt: skip

    def call(self, target: object, arguments: object) -> object:
        """What calling an allowed name stands for."""
        if type(target) is not Global or type(arguments) is not tuple:
            self.fail("calls something that is not callable")
        if target.make is None or len(arguments) > MAX_ARGUMENTS:
            self.fail(f"calls {target.name} with {len(arguments):,} arguments")
        try:
            return target.make(self, *arguments)
        except (TypeError, ValueError):
            self.fail(f"calls {target.name} with arguments that do not fit it")

    def pass_over(self, kind: str) -> Inert:
        """A marker in place of a value that is not looked at; what it is and where is kept for a note."""
        if kind not in self.passed_over:
            self.passed_over[kind] = self._key()
        return Inert(kind)

    def build(self, target: object, state: object) -> None:
        """Give a state to what was just made; most states, as an OrderedDict's `_metadata`, say nothing of tensors."""
        if type(target) is Made:
            target.state = state
            return
        if isinstance(target, Global | list | tuple | str | int):
            self.fail("sets the state of an object that has none")
        if self._set_state is not None:
            self._set_state(self, target, state)

    def persistent(self, identity: object) -> object:
        """What a reference out of the pickle stands for: a storage."""
        if self._persistent is None:
            self.fail("refers to an object outside the pickle")
        return self._persistent(self, identity)

    def put(self, target: object, items: list[object]) -> None:
        """Set the items, keys and values in turn, of a mapping."""
        if type(target) is not dict or len(items) % 2:
            self.fail("sets items of something that is not a mapping")
        for i in range(0, len(items), 2):
            key = items[i]
            target[key if type(key) is str else self.key(key)] = items[i + 1]

    def key(self, key: object) -> object:
        """The key as a dict can hold it: what hashes slowly, deeply or in a way that can be steered becomes inert."""
        if isinstance(key, dict | list):
            self.fail(f"uses a {type(key).__name__} as a key")
        if isinstance(key, int):
            return key if -PLAIN_KEY < key < PLAIN_KEY else Inert("int")
        return key if isinstance(key, str | bytes | Global | Inert | Made | None) else Inert(type(key).__name__)

    def _key(self) -> str:
        """Where we are, as far as the stack tells: the key whose value is being built."""
        for stack in (self.stack, *self.marks[:-4:-1]):
            for value in stack[:-6:-1]:
                if type(value) is str:
                    return f" at {value[:200]!r}"
        return ""
