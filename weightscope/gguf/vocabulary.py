"""The long arrays of a GGUF file's metadata, read when a tokenizer is made of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class under the name of one
from sys import byteorder

from weightscope.checkpoint.gguf import SCALARS, STRING
from weightscope.checkpoint.gguf_metadata import Metadata, Skipped
from weightscope.checkpoint.slices import LocalFile
from weightscope.errors import CheckpointError

LENGTH = Struct("<Q")


class Vocabulary:
    """Arrays of one file by their keys, decoded or not."""

    def __init__(self, metadata: Metadata, path: Path) -> None:
        self.metadata = metadata
        self._path = path

    def texts(self, key: str) -> list[str]:
        """Strings; none where the file lacks the key.

        Raises:
            CheckpointError: they are something else, or not what they were when the header was read.
        """
        values = self._values(key, STRING)
        if not isinstance(values, Skipped):
            return [str(value) for value in values]
        raw, found, at = self._bytes(values), [], 0
        try:
            for _ in range(values.count):
                size = LENGTH.unpack_from(raw, at)[0]
                found.append(raw[at + 8 : at + 8 + size].decode())
                at += 8 + size
        except (StructError, OverflowError):
            raise self._changed(key) from None
        except UnicodeDecodeError:
            raise self.metadata.wrong(key, "an array of UTF-8 text") from None
        return found

    def numbers(self, key: str) -> list[float]:
        """Numbers; none where the file lacks the key.

        Raises:
            CheckpointError: they are something else.
        """
        values = self._values(key, None)
        if not isinstance(values, Skipped):
            return [float(value) for value in values if not isinstance(value, str)]
        code = SCALARS.get(values.type)
        if code is None or code == "?":
            raise self.metadata.wrong(key, "an array of numbers")
        found = array(code)
        found.frombytes(self._bytes(values))
        if byteorder == "big":
            found.byteswap()
        return [float(value) for value in found]

    def octets(self, key: str) -> bytes:
        """Bytes, written as numbers with a sign or without; none where the file lacks the key.

        Raises:
            CheckpointError: they are something else.
        """
        numbers = self.numbers(key)
        if not all(-128 <= number < 256 and number == int(number) for number in numbers):
            raise self.metadata.wrong(key, "an array of bytes")
        return bytes(int(number) % 256 for number in numbers)

    def _values(self, key: str, kind: int | None) -> Skipped | Iterable[bool | int | float | str]:
        skipped = self.metadata.arrays.get(key)
        if skipped is not None:
            if kind is not None and skipped.type != kind:
                raise self.metadata.wrong(key, "an array of text")
            return skipped
        value = self.metadata.values.get(key, ())
        if not isinstance(value, tuple) or (kind == STRING and not all(isinstance(item, str) for item in value)):
            raise self.metadata.wrong(key, "an array")
        return value

    def _bytes(self, skipped: Skipped) -> bytes:
        with LocalFile(self._path) as data:
            return data[skipped.start : skipped.stop]

    def _changed(self, key: str) -> CheckpointError:
        return CheckpointError(
            f"the metadata key {key!r} is not what it was",
            where=self._path,
            hint="the file may have changed since it was opened",
            code="truncated-file",
        )
