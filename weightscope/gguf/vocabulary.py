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
# Elements and bytes of an array, and bytes of a text: published vocabularies have up to 0.3 million tokens, 0.6 million
# merges, 10 MB of them, and some hundred blanks in one.
MAX_ELEMENTS, MAX_ARRAY, MAX_TOKEN = 4_000_000, 40_000_000, 2_048
# The format's numbers of single bytes.
OCTETS = (0, 1)


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
            texts = [str(value) for value in values]
            longest = max(map(len, texts), default=0)
            if longest > MAX_TOKEN:
                raise self._beyond(key, f"a text of {longest:,} characters", MAX_TOKEN)
            return texts
        raw, found, at = self._bytes(values), [], 0
        try:
            for _ in range(values.count):
                size = LENGTH.unpack_from(raw, at)[0]
                if size > MAX_TOKEN:
                    raise self._beyond(key, f"a text of {size:,} bytes", MAX_TOKEN)
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
        values = self._values(key, None)
        if isinstance(values, Skipped):
            if values.type not in OCTETS:
                raise self.metadata.wrong(key, "an array of bytes")
            return self._bytes(values)
        found = [value for value in values if isinstance(value, int) and -128 <= value < 256]
        if len(found) != len(tuple(values)):
            raise self.metadata.wrong(key, "an array of bytes")
        return bytes(value % 256 for value in found)

    def _values(self, key: str, kind: int | None) -> Skipped | Iterable[bool | int | float | str]:
        skipped = self.metadata.arrays.get(key)
        if skipped is not None:
            if kind is not None and skipped.type != kind:
                raise self.metadata.wrong(key, "an array of text")
            if skipped.count > MAX_ELEMENTS:
                raise self._beyond(key, f"{skipped.count:,} elements", MAX_ELEMENTS)
            if skipped.stop - skipped.start > MAX_ARRAY:
                raise self._beyond(key, f"{skipped.stop - skipped.start:,} bytes", MAX_ARRAY)
            return skipped
        value = self.metadata.values.get(key, ())
        if not isinstance(value, tuple) or (kind == STRING and not all(isinstance(item, str) for item in value)):
            raise self.metadata.wrong(key, "an array")
        return value

    def _bytes(self, skipped: Skipped) -> bytes:
        with LocalFile(self._path) as data:
            return data[skipped.start : skipped.stop]

    def _beyond(self, key: str, what: str, limit: int) -> CheckpointError:
        return CheckpointError(
            f"the metadata key {key!r} has {what}; the limit is {limit:,}",
            where=self.metadata.where,
            hint="give --tokens 1,2,3",
        )

    def _changed(self, key: str) -> CheckpointError:
        return CheckpointError(
            f"the metadata key {key!r} is not what it was",
            where=self._path,
            hint="the file may have changed since it was opened",
            code="truncated-file",
        )
