"""Stored tensors by name, with their roles, and their values when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.inventory import Inventory
from weightscope.analyses.nearest import nearest_name
from weightscope.api.dequantizing import Quantized
from weightscope.brief import Displayed, Suggesting, clipped
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import UnknownTensorError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from weightscope.display import Figure

# Names that stand for all in what is shown.
SHOWN = 3


class Tensor(Displayed, Suggesting, msgspec.Struct, frozen=True, kw_only=True):
    """One stored tensor: its header, its role, and its values on request.

    Attributes:
        name: its name.
        dtype: as safetensors spells it, such as `BF16`.
        shape: as it is stored.
        roles: its role, or the roles that it fuses.
        component: such as `attention`.
        kind: `weight`, `bias`, `buffer`, `scale`, or `copy` of another.
        inferred: whether the roles were guessed from the name.
        file: the path of its file.
        entry: where it lies in the file.
        files: the headers of all files.
        remote: its file's name, if that is not on this machine.
        quantized: how to undo its quantization; None for plain tensors.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    roles: tuple[str, ...]
    component: str
    kind: str
    inferred: bool
    file: Path
    entry: TensorEntry
    files: Sequence[FileHeader]
    remote: str = ""
    quantized: Quantized | None = None

    def __repr__(self) -> str:
        roles = f"role={self.role!r}" if len(self.roles) == 1 else f"roles={self.roles!r}"
        kind = f", kind={self.kind!r}" if self.kind != "weight" else ""
        guessed = ", inferred=True" if self.inferred else ""
        return f"Tensor({self.name!r}, {roles}{kind}{guessed}, dtype={self.dtype!r}, shape={self.shape!r})"

    @property
    def role(self) -> str:
        """The role, or the first role of a fused tensor."""
        return self.roles[0]

    def numpy(self, index: Any = ..., *, dequantize: bool = False) -> np.ndarray[Any, Any]:
        """The values, or `tensor[index]` of them, read-only and mapped from the file; bfloat16 and 8-, 6- and 4-bit
        floats have ml_dtypes' types.

        With `dequantize`, a quantized weight is given as the float32 matrix that it stands for, in memory of its own
        and in the shape that it has before quantization; this needs the `forward` extra. Other tensors are given as
        they are.

        Raises:
            WeightscopeError: the file changed or is not here, or NumPy has no such type; with `dequantize`, the tensor
                is a scale of a weight, or its method is not implemented.
        """
        from weightscope.checkpoint.values import need_here, read_numpy

        need_here(self.files, self.entry)
        if dequantize and self.quantized:
            return self.quantized.numpy(index)
        return read_numpy(self.files, self.entry, index)

    def plot(self) -> Figure:
        """A heatmap of the magnitudes, of a quantized weight as it acts; reads all values. A notebook shows it.

        Raises:
            WeightscopeError: the values are not here, NumPy has no such type, or the quantization is not implemented.
        """
        from weightscope.display import picture_of_values

        return picture_of_values(self)

    def torch(self, index: Any = ...) -> torch.Tensor:
        """The values, or `tensor[index]` of them, in the file's dtype; needs the `forward` extra.

        Raises:
            WeightscopeError: the file is not here, torch is not installed, or has no such type.
        """
        from weightscope.checkpoint.values import need_here, read_torch

        need_here(self.files, self.entry)
        return read_torch(self.files, self.entry, index)


class Tensors(Displayed, Suggesting, Mapping[str, Tensor]):
    """All stored tensors by name, in file order; if a prefix was removed, the stored name works as well.

    Raises:
        UnknownTensorError: a KeyError; the model has no tensor of that name, and the message names the nearest.
    """

    def __init__(self, checkpoint: Checkpoint, inventory: Inventory) -> None:
        self._checkpoint = checkpoint
        self._inventory = inventory

    def __repr__(self) -> str:
        names = list(map(clipped, islice(self, SHOWN)))
        if len(self) > SHOWN:
            names.append("…")
        return f"Tensors({len(self):,}: {', '.join(names)})" if names else "Tensors(0)"

    def __getitem__(self, name: str) -> Tensor:
        asked, name = name, self._known(name)
        entry = self._checkpoint.tensors.get(name)
        if entry is None:
            near = nearest_name(str(asked), self._inventory)
            hint = f"did you mean {near}?" if near else "list(model.tensors) has all names"
            raise UnknownTensorError(f"no tensor {clipped(str(asked))}", hint=hint)
        group = self._inventory.group_of(name)
        file = self._checkpoint.files[entry.file]
        return Tensor(
            name=name,
            dtype=entry.dtype,
            shape=entry.shape,
            roles=tuple(map(str, group.roles)),
            component=str(group.section),
            kind=str(group.kind),
            inferred=group.inferred,
            file=file.path,
            entry=entry,
            files=self._checkpoint.files,
            remote=file.remote,
            quantized=Quantized.of(name, group.scheme, self._checkpoint) if group.scheme else None,
        )

    def __contains__(self, name: object) -> bool:
        # What Mapping has would look for the nearest name of each that is not there.
        return self._known(name) in self._checkpoint.tensors

    def get(self, name: str, default: Any = None) -> Any:
        """The tensor, or `default` where there is none of that name."""
        return self[name] if self.__contains__(name) else default

    def _known(self, name: Any) -> Any:
        """The name as the checkpoint has it, where tensors were renamed."""
        renaming = self._checkpoint.renaming
        return renaming.names.get(name, name) if renaming and name not in self._checkpoint.tensors else name

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoint.tensors)

    def __len__(self) -> int:
        return len(self._checkpoint.tensors)
