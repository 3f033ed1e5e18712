"""The metadata of a GGUF file: its keys with typed values, long arrays only by their place."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from weightscope.brief import brief
from weightscope.errors import CheckpointError, Where

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...]
HINT = "convert the model again with llama.cpp's convert_hf_to_gguf.py"


class Skipped(msgspec.Struct, frozen=True):
    """A long array that was not decoded: its elements' type and number, and the bytes of the file that hold them.

    `type` is the number that the format gives it (8 for strings).
    """

    type: int
    count: int
    start: int
    stop: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a GGUF header by key, and its long arrays."""

    where: Where
    values: Mapping[str, Value]
    arrays: Mapping[str, Skipped]

    __repr__ = brief

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the architecture (`llama`, `qwen3moe`), or an empty string."""
        return self.text("general.architecture") or ""

    def text(self, key: str) -> str | None:
        """A string; None where the file lacks the key.

        Raises:
            CheckpointError: the value is something else.
        """
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def whole(self, key: str) -> int | None:
        """A whole number."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self.wrong(key, "a whole number")
        return value

    def number(self, key: str) -> float | None:
        """A number, as the float32 that is stored."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
            raise self.wrong(key, "a number")
        return value

    def flag(self, key: str) -> bool | None:
        """True or false."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def wholes(self, key: str) -> tuple[int, ...] | None:
        """Several whole numbers: one for each layer, or one for each part of the rotation."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, tuple):
            raise self.wrong(key, "an array of whole numbers")
        found = tuple(item for item in value if isinstance(item, int))
        if len(found) != len(value):
            raise self.wrong(key, "an array of whole numbers")
        return found

    def length(self, key: str) -> int | None:
        """How many elements an array has, decoded or not."""
        if key in self.arrays:
            return self.arrays[key].count
        value = self.values.get(key)
        return len(value) if isinstance(value, tuple) else None

    def wrong(self, key: str, kind: str) -> CheckpointError:
        """The error of a value that is not what its key means."""
        shown = f"{self.values.get(key)!r:.60}" if key in self.values else "a long array"
        return CheckpointError(
            f"the metadata key {key!r} is {shown}, not {kind}", where=self.where, hint=HINT, code="config-invalid"
        )
