"""A lock: what it says, how it is written, and how it is read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from weightscope.brief import Displayed, clipped, plural
from weightscope.errors import UsageError, WeightscopeError

VERSION = 1
# The lock of 90,000 tensors has some 20 MB.
MAX_BYTES = 1 << 28
Algorithm = Literal["sha256", "blake3"]


class Hasher(Protocol):
    """What takes bytes and gives their digest."""

    def update(self, data: Any, /) -> object:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """The digest of all, in hexadecimal."""
        ...


class LockedWeight(msgspec.Struct, frozen=True, kw_only=True):
    """One weight: the tensors that it lies in, their dtype, its shape, the digest of its values if they were read."""

    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    digest: str | None = None


class LockedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file's size and SHA-256."""

    bytes: int
    sha256: str


class Lock(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """A model as it was, key for key the JSON of `weightscope lock`; docs/lock.md describes addresses and digests.

    Attributes:
        lock_version: of the JSON.
        algorithm: of the digests: `sha256` or `blake3`; None where only headers were read.
        model_type: the config's.
        repository: where the model lies in the Hub's cache, the repository.
        revision: the commit of it.
        root: the digest of all weights together; None where only headers were read.
        config: what config.json means, with the defaults of its class.
        files: size and SHA-256 by file; None unless asked for.
        weights: names, dtype, shape and digest by address.
    """

    lock_version: int = VERSION
    algorithm: Algorithm | None
    model_type: str = ""
    repository: str | None = None
    revision: str | None = None
    root: str | None = None
    config: dict[str, Any] = {}
    files: dict[str, LockedFile] | None = None
    weights: dict[str, LockedWeight]

    def __repr__(self) -> str:
        digest = f"{self.algorithm} {clipped(self.root or '')}" if self.algorithm else "no digests"
        return f"Lock({clipped(self.model_type)}: {plural(len(self.weights), 'weight')}, {digest})"


def hasher_of(algorithm: Algorithm) -> Callable[[], Hasher]:
    """What makes a new hasher.

    Raises:
        WeightscopeError: blake3 is not installed.
    """
    if algorithm == "sha256":
        return hashlib.sha256
    try:
        from blake3 import blake3
    except ImportError:
        raise WeightscopeError("blake3 is not installed", hint="install weightscope-cli[lock], or use sha256") from None
    make: Callable[[], Hasher] = blake3
    return make


def root_of(weights: Mapping[str, LockedWeight], algorithm: Algorithm) -> str:
    """The digest of `ADDRESS DIGEST` lines, in the order of the addresses, each ended by a line feed."""
    hasher = hasher_of(algorithm)()
    for address in sorted(weights):
        hasher.update(f"{address} {weights[address].digest}\n".encode())
    return hasher.hexdigest()


def lock_text(lock: Lock) -> Iterator[str]:
    """As JSON with a line for each weight, file and config key, in the order of their names."""
    head = {name: getattr(lock, name) for name in lock.__struct_fields__ if name not in ("config", "files", "weights")}
    yield "{\n" + "".join(f" {json.dumps(key)}: {_json(value)},\n" for key, value in head.items())
    sections: dict[str, Mapping[str, object] | None] = {
        "config": lock.config,
        "files": lock.files,
        "weights": lock.weights,
    }
    for place, (name, entries) in enumerate(sections.items()):
        end = "\n}\n" if place == len(sections) - 1 else ",\n"
        if entries is None:
            yield f' "{name}": null{end}'
            continue
        lines = ",\n".join(f"  {_json(key)}: {_json(entries[key])}" for key in sorted(entries))
        yield f' "{name}": {{\n{lines}\n }}{end}' if lines else f' "{name}": {{}}{end}'


def read_lock(path: Path) -> Lock:
    """A lock from its file.

    Raises:
        UsageError: it cannot be read, is something else, or is of a version that is not known.
    """
    hint = "write one with `weightscope lock MODEL --output FILE`"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError("too large to be a lock", where=path, hint=hint)
        raw = path.read_bytes()
        version = msgspec.json.decode(raw, type=_Version).lock_version
        if version != VERSION:
            raise UsageError(f"lock_version {version} is not known, only {VERSION}", where=path, hint=hint)
        return msgspec.json.decode(raw, type=Lock)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror or error})", where=path, hint="check the path") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a lock ({error})", where=path, hint=hint) from None


class _Version(msgspec.Struct):
    lock_version: int


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), sort_keys=True)
