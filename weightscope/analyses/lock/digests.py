"""The digest of each weight: its values in row-major order, little-endian, in the stored dtype, as a matrix (out, in).

What lies in a tensor of its own is digested as the file has it. Fused, turned and stacked tensors are taken apart
first, as integers of the same width, so that no bit changes. Each tensor of a quantized weight is digested as stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.held.holdings import Held, Unit
from weightscope.analyses.lock.record import Hasher, LockedWeight
from weightscope.checkpoint.array_types import import_numpy, need_torch
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.values import load_torch, read_chunks
from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import torch

# Bytes that are read and digested at once: they stay in the cache of a core.
CHUNK = 1 << 18
# Integers that torch can copy, turn and cut.
WORDS = {8: "uint8", 16: "int16", 32: "int32", 64: "int64"}
Weights = dict[str, LockedWeight]


def digests(
    checkpoint: Checkpoint, units: Sequence[Unit], make: Callable[[], Hasher] | None, progress: Progress | None = None
) -> Weights:
    """Every weight under its address; without a hasher to `make`, headers only. `progress` is called with bytes.

    Raises:
        CheckpointError: a file is shorter than its header said.
        WeightscopeError: a fused tensor has to be taken apart, and torch is not installed.
    """
    if make is None:
        return {address: weight for unit in units for address, weight in _headers(checkpoint, unit)}
    if any(held.is_taken_apart for unit in units for held in unit.held):
        need_torch(", or use --quick: fused tensors are taken apart with it")
    import_numpy()
    found: Weights = {}
    done, total = 0, sum(_size(checkpoint, unit) for unit in units)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="weightscope-lock") as pool:
        coming = [(unit, pool.submit(_of_unit, checkpoint, unit, make)) for unit in units]
        try:
            for unit, future in coming:
                found.update(future.result())
                done += _size(checkpoint, unit)
                if progress:
                    progress(done, total, unit.held[0].address)
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def _size(checkpoint: Checkpoint, unit: Unit) -> int:
    """Bytes on disk; of one expert of a stack its share."""
    names = dict.fromkeys(name for held in unit.held for name in held.names)
    offsets = [checkpoint.tensors[name].data_offsets for name in names if name in checkpoint.tensors]
    size = sum(stop - start for start, stop in offsets)
    return size if unit.expert is None else size // max(int(next(iter(unit.sizes.values()))[0]), 1)


def _headers(checkpoint: Checkpoint, unit: Unit) -> Iterator[tuple[str, LockedWeight]]:
    for held in unit.held:
        if not held.is_as_stored:
            yield held.address, LockedWeight(names=held.names, dtype=_dtype(checkpoint, held), shape=held.shape)
    for address, name in _as_stored(unit):
        if entry := checkpoint.tensors.get(name):
            yield address, LockedWeight(names=(name,), dtype=entry.dtype, shape=entry.shape)


def _of_unit(checkpoint: Checkpoint, unit: Unit, make: Callable[[], Hasher]) -> Weights:
    found = dict(_headers(checkpoint, unit))
    direct = {held.address: held.direct for held in unit.held if held.direct} | dict(_as_stored(unit))
    for address, name in direct.items():
        if address in found:
            digest = _digest_of(checkpoint, checkpoint.tensors[name], make())
            found[address] = msgspec.structs.replace(found[address], digest=digest)
    apart = [held for held in unit.held if held.is_taken_apart]
    read = unit.read(_Words(checkpoint)) if apart else {}
    for held in apart:
        hasher = make()
        hasher.update(read[held.key].contiguous().numpy().tobytes())
        found[held.address] = msgspec.structs.replace(found[held.address], digest=hasher.hexdigest())
    return found


def _digest_of(checkpoint: Checkpoint, entry: TensorEntry, hasher: Hasher) -> str:
    for raw in read_chunks(checkpoint.files, entry, CHUNK):
        hasher.update(raw.data)
    return hasher.hexdigest()


def _dtype(checkpoint: Checkpoint, held: Held) -> str:
    return checkpoint.tensors[held.names[0]].dtype


def _as_stored(unit: Unit) -> Iterator[tuple[str, str]]:
    """The tensors of quantized and combined weights, each with the address of its roles and its own last words.

    Those of a combined weight have numbers: writers name them differently.
    """
    by_names: dict[tuple[str, ...], list[Held]] = {}
    for held in unit.held:
        if held.is_as_stored:
            by_names.setdefault(held.names, []).append(held)
    for names, together in by_names.items():
        first, *others = (held.address for held in together)
        address = "+".join((first, *(other.rpartition(".")[2] for other in others)))
        # The tensors of stacked experts are digested whole, with the first.
        if not unit.expert:
            ends = map(str, range(len(names))) if together[0].combined else (n.rpartition(".")[2] for n in names)
            yield from ((f"{address}:{end}", name) for end, name in zip(ends, names, strict=True))


class _Words:
    """Tensors as integers of the same width."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def tensor(self, name: str) -> torch.Tensor:
        """The whole."""
        return self._words(name)

    def rows(self, name: str, index: slice) -> torch.Tensor:
        """Consecutive rows."""
        return self._words(name, index)

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self._checkpoint.tensors

    def _words(self, name: str, index: slice | None = None) -> torch.Tensor:
        import torch

        entry = self._checkpoint.tensors[name]
        words = WORDS.get(DTYPE_BITS[entry.dtype])
        if words is None:
            raise NotImplementedByWeightscope(f"{name} is fused, and {entry.dtype} cannot be taken apart")
        return load_torch(self._checkpoint.files, entry, index).view(getattr(torch, words))
