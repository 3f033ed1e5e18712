"""Weights as a pass asks for them: read when needed or just before, quantization undone, dropped when used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Self

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import gather_torch, load_torch
from weightscope.components.walk import Slot
from weightscope.errors import CheckpointError
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.dequantizing import as_used
from weightscope.storage.base import Scheme

if TYPE_CHECKING:
    import torch

Part = tuple[str, int | None, int | None]


class Stream:
    """The tensors of a checkpoint on a device. `with` it: leaving stops the reading ahead.

    One thread reads what `ahead` names, in order, while the caller computes; what nobody announced is read when it
    is asked for. `taken` are the names asked for since it was last emptied.
    """

    def __init__(self, checkpoint: Checkpoint, declaration: Declaration, device: torch.device) -> None:
        self.taken: list[str] = []
        self._checkpoint = checkpoint
        self._slots = declaration.slots
        self._schemes = declaration.schemes
        self._device = device
        # The reader takes its memory from the same pool as the caller.
        self._context = copy_context()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="weightscope-reader")
        self._coming: dict[Part, Future[torch.Tensor]] = {}
        # The last weight of which slabs were asked for and that has no rows of its own.
        self._table: tuple[str, torch.Tensor] | None = None
        # Of the blocks: bytes of what is to be read, of what is read and was not asked for yet, and of the largest.
        self._waiting: dict[str, int] = {}
        self._ready: dict[str, int] = {}
        self._largest = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._coming.clear()
        self._table = None

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds it, or what stands for it."""
        tensors = self._checkpoint.tensors
        scheme = None if name in tensors else self._schemes.of(name)
        return name in tensors or (scheme is not None and all(part in tensors for part in scheme.parts(name)))

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor in its stored layout.

        Raises:
            CheckpointError: it is in no file, or its file is shorter than it was.
        """
        scheme = self._schemes.of(name)
        self.taken.append(scheme.parts(name)[0] if scheme else name)
        return as_used(scheme, name, self._whole, self._vector) if scheme else self._whole(name)

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Consecutive rows, or those of an index, of a tensor in its stored layout."""
        scheme = self._schemes.of(name)
        self.taken.append(scheme.parts(name)[0] if scheme else name)
        if scheme is None:
            return self._some(name, index)
        if scheme.rowwise:
            return as_used(scheme, name, lambda part: self._rows(scheme, name, part, index), self._vector)
        if not isinstance(index, slice):
            return as_used(scheme, name, self._whole, self._vector)[index]
        # Whoever asks for one slab asks for the others next; none of them can be had without the whole.
        if self._table is None or self._table[0] != name:
            self._table = (name, as_used(scheme, name, self._whole, self._vector))
        return self._table[1][index]

    def ahead(self, names: Iterable[str], rows: slice | None = None) -> None:
        """Have these read while the caller computes."""
        for name, part in self._parts(names):
            scheme = self._schemes.of(name)
            if self._table is None or self._table[0] != name:
                self._submit(part, rows if scheme is None or self._by_row(scheme, name, part) else None)

    def next_block(self, names: Iterable[str]) -> None:
        """Have a block read ahead, each tensor when about as much of the block before it has been asked for.

        So no more than one block waits in memory, and what one tensor leaves is what the next is read into.
        """
        entries = self._checkpoint.tensors
        offsets = {part: entries[part].data_offsets for _, part in self._parts(names)}
        sizes = {part: stop - start for part, (start, stop) in offsets.items()}
        self._largest = max(self._largest, sum(sizes.values()))
        self._waiting |= sizes
        self._advance()

    def _parts(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each weight with each of the tensors that stand for it, as far as the checkpoint holds them."""
        for name in names:
            scheme = self._schemes.of(name)
            yield from ((name, part) for part in (scheme.parts(name) if scheme else (name,)) if self.has(part))

    def _advance(self) -> None:
        """Read more of the next block, as far as it has room."""
        while self._waiting:
            name, size = next(iter(self._waiting.items()))
            if sum(self._ready.values()) + size > self._largest:
                return
            self._ready[name] = self._waiting.pop(name)
            self._submit(name, None)

    def _submit(self, name: str, rows: slice | None) -> None:
        key = _key(name, rows)
        if key not in self._coming:
            self._coming[key] = self._reader.submit(self._context.run, self._load, name, rows)

    def _rows(self, scheme: Scheme, name: str, part: str, index: slice | torch.Tensor) -> torch.Tensor:
        return self._some(part, index) if self._by_row(scheme, name, part) else self._whole(part)

    def _by_row(self, scheme: Scheme, name: str, part: str) -> bool:
        """Whether rows of a weight need the same rows of this tensor; a scale of the whole weight has none."""
        rows = self._entry(scheme.parts(name)[0]).shape[:1]
        return scheme.rowwise and self._entry(part).shape[:1] == rows

    def _vector(self, name: str) -> torch.Tensor | None:
        return self._whole(name) if self.has(name) else None

    def _whole(self, name: str) -> torch.Tensor:
        return self._arrived(name, None)

    def _some(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        if isinstance(index, slice):
            return self._arrived(name, index)
        return gather_torch(self._checkpoint.files, self._entry(name), index.cpu()).to(self._device)

    def _arrived(self, name: str, rows: slice | None) -> torch.Tensor:
        # What was asked for before this has been used by now, or is about to be.
        self._advance()
        coming = self._coming.pop(_key(name, rows), None)
        if rows is None:
            self._waiting.pop(name, None)
            self._ready.pop(name, None)
        tensor = coming.result() if coming else self._load(name, rows)
        return tensor.to(self._device, non_blocking=True)

    def _load(self, name: str, rows: slice | None) -> torch.Tensor:
        pinned = self._device.type == "cuda"
        return load_torch(self._checkpoint.files, self._entry(name), rows, pinned=pinned)

    def _entry(self, name: str) -> TensorEntry:
        entry = self._checkpoint.tensors.get(name)
        if entry is None:
            raise missing_tensor(name, self._slots, self._checkpoint)
        return entry


def missing_tensor(name: str, slots: Iterable[Slot], checkpoint: Checkpoint) -> CheckpointError:
    """The error for a tensor that a pass needs and no file holds, with the shape that the config gives it."""
    slot = next((slot for slot in slots if name in slot.names()), None)
    shape = f" {list(map(int, slot.stored.shape))} ({slot.stored.parts[0][0]})" if slot else ""
    return CheckpointError(
        f"the forward pass needs {name}{shape}, which is in none of the files",
        where=checkpoint.path,
        hint="`weightscope check` says what else is missing",
        code="missing-tensor",
    )


def _key(name: str, rows: slice | None) -> Part:
    return (name, rows.start, rows.stop) if rows else (name, None, None)
