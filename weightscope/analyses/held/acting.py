"""Weights as a pass uses them, quantization undone, with what their input is scaled by in their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import load_torch
from weightscope.errors import CheckpointError
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.dequantizing import as_used
from weightscope.storage.base import Scheme

if TYPE_CHECKING:
    import torch


class Acting:
    """The tensors of a checkpoint; a quantized weight under the name that it has before quantization."""

    def __init__(self, checkpoint: Checkpoint, declaration: Declaration | None) -> None:
        self._checkpoint = checkpoint
        self._schemes = declaration.schemes if declaration else None
        # The last weight of which rows were asked for that cannot be undone by rows.
        self._whole: tuple[str, torch.Tensor] | None = None

    def has(self, name: str) -> bool:
        """Whether it is there, or what stands for it."""
        tensors = self._checkpoint.tensors
        scheme = None if name in tensors else self._scheme(name)
        return name in tensors or (scheme is not None and all(part in tensors for part in scheme.parts(name)))

    def tensor(self, name: str) -> torch.Tensor:
        """The whole weight."""
        scheme = self._scheme(name)
        return as_used(scheme, name, self._load, self._vector) if scheme else self._load(name)

    def rows(self, name: str, index: slice) -> torch.Tensor:
        """Some entries of its first dimension."""
        scheme = self._scheme(name)
        if scheme is None:
            return self._load(name, index)
        if scheme.rowwise:
            count = self._checkpoint.tensors[scheme.parts(name)[0]].shape[:1]

            def raw(part: str) -> torch.Tensor:
                by_row = self._checkpoint.tensors[part].shape[:1] == count
                return self._load(part, index if by_row else None)

            return as_used(scheme, name, raw, self._vector)
        if self._whole is None or self._whole[0] != name:
            self._whole = (name, self.tensor(name))
        return self._whole[1][index]

    def _scheme(self, name: str) -> Scheme | None:
        return self._schemes.of(name) if self._schemes else None

    def _vector(self, name: str) -> torch.Tensor | None:
        return self._load(name) if self.has(name) else None

    def _load(self, name: str, rows: slice | None = None) -> torch.Tensor:
        entry = self._checkpoint.tensors.get(name)
        if entry is None:
            raise CheckpointError(
                f"{name} is in no file",
                where=self._checkpoint.path,
                hint="`weightscope check` says what else is missing",
                code="missing-tensor",
            )
        return load_torch(self._checkpoint.files, entry, rows)
