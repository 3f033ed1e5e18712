"""A component's place in a forward pass: where it reads its weights from, in which type it computes, who watches.

Shapes in the components: T tokens, D width, H heads, d head_dim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from weightscope.storage.base import BOUNDS_END, Scope, Sizes, StorageItem, join
from weightscope.storage.plain import Buffer, Plain

if TYPE_CHECKING:
    import torch

Whole = Literal["", "everywhere", "in windows", "past windows"]
# A slab of a table: 16 MB once it is float32.
SLAB_ELEMENTS = 1 << 22


class Stopped(Exception):  # noqa: N818 - no error: the pass went as far as it was asked to
    """The last layer that was asked for has been computed."""


class Part(Protocol):
    """What a pass asks of a component."""

    @property
    def name(self) -> str:
        """Its module path below its parent."""
        ...

    @property
    def number_prefix(self) -> str:
        """What stands right before the number of a repeated one."""
        ...

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Where its own roles lie."""
        ...

    def sizes(self) -> Sizes:
        """The logical shape of each of them."""
        ...

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Its maths."""
        ...


class Rotation(Protocol):
    """Positions as angles, the same for all layers that have an equal one."""

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, dim/2]."""
        ...


class Reader(Scope, Protocol):
    """A scope that can read a part of a table, and ahead of what is asked for."""

    def rows(self, name: str, index: slice | torch.Tensor) -> torch.Tensor:
        """Some entries of a tensor's first dimension, quantization undone."""
        ...

    def ahead(self, names: Iterable[str], rows: slice | None = None) -> None:
        """Start reading what will be asked for next, whole or some rows of it."""
        ...

    def next_block(self, names: Iterable[str]) -> None:
        """Read the next block while this one computes."""
        ...


class Watch(Protocol):
    """Whoever wants to know how a pass goes."""

    def layer(self, name: str, reading: str, number: int, total: int) -> None:
        """A layer begins, and the module `reading` is read ahead, if any."""
        ...

    def stage(self, name: str, equation: str, x: torch.Tensor) -> None:
        """A stage has been computed."""
        ...


class Crossed(msgspec.Struct, frozen=True, kw_only=True):
    """`vectors` [N, D] of images beside the text; which of them each token `sees` [T, N], and whether `any` [T]."""

    vectors: torch.Tensor
    sees: torch.Tensor
    any: torch.Tensor


class Pass(msgspec.Struct, kw_only=True):
    """What all components of one forward pass share.

    `positions` are [T], or [axes, T] for multi-axis rotation. `inputs` are what an image processor makes, by its names;
    `segments` are the lengths of what a patch sees, by kind. None sees those that are true in `unseen`; those that are
    true in `blank` do not see each other. `crossed` are images that some layers look at. `added` is what the output of
    some layers gets besides, as (places, vectors). Tokens of one number in `together` [T] also see later ones of that
    number, as `whole` says: `everywhere`, `in windows` where a layer has one, or `past windows`, all of the number
    however far; -1 is none. `last` is the layer after which the pass stops, `tokens` the ids [T] that it is of. `held`
    keeps weights in memory for further passes. `layer` is the one that is computed, `shared` what earlier parts have
    left for later ones.
    """

    reader: Reader
    dtype: torch.dtype
    device: torch.device
    positions: torch.Tensor
    inputs: Mapping[str, torch.Tensor] = {}
    segments: Mapping[str, Sequence[int]] = {}
    unseen: torch.Tensor | None = None
    blank: torch.Tensor | None = None
    crossed: Crossed | None = None
    added: Mapping[int, tuple[torch.Tensor, torch.Tensor]] = {}
    together: torch.Tensor | None = None
    whole: Whole = ""
    watch: Watch | None = None
    last: int | None = None
    tokens: torch.Tensor | None = None
    held: dict[Any, Mapping[str, torch.Tensor]] | None = None
    rotations: dict[Rotation, tuple[torch.Tensor, torch.Tensor]] = {}
    layer: int = 0
    shared: dict[str, Any] = {}


class At(msgspec.Struct, frozen=True, kw_only=True):
    """The full module path of a component in a pass, and the words that its stages begin with.

    Weights are read when a component is called and dropped when it returns, so a pass holds one component at a time
    and of a mixture's experts only those that were chosen.
    """

    run: Pass
    prefix: str = ""
    label: str = ""

    def below(self, component: Part, number: int | None = None) -> At:
        """The place of a child, or of the numbered instance of a repeated one."""
        prefix = join(self.prefix, component.name)
        numbered = prefix if number is None else f"{prefix}.{component.number_prefix}{number}"
        return At(run=self.run, prefix=numbered, label=self.label)

    def labelled(self, label: str) -> At:
        """The same place, its stages named after `label`."""
        return At(run=self.run, prefix=self.prefix, label=label)

    def apart(
        self,
        *,
        segments: Mapping[str, Sequence[int]],
        positions: torch.Tensor | None = None,
        unseen: torch.Tensor | None = None,
        blank: torch.Tensor | None = None,
    ) -> At:
        """The same place in a pass of its own over another sequence: a vision tower's, within the language model's."""
        run = msgspec.structs.replace(
            self.run,
            positions=self.run.positions if positions is None else positions,
            segments=segments,
            unseen=unseen,
            blank=blank,
            last=None,
            rotations={},
            shared={},
            added={},
            together=None,
        )
        return At(run=run, prefix=self.prefix, label=self.label)

    def call(self, component: Part, x: torch.Tensor) -> torch.Tensor:
        """A child's forward pass."""
        return component.forward(x, self.below(component))

    def stage(self, name: str, equation: str, x: torch.Tensor) -> None:
        """Tell whoever watches what has been computed."""
        if self.run.watch:
            self.run.watch.stage(f"{self.label} {name}".strip(), equation, x)

    def weights(self, component: Part) -> Mapping[str, torch.Tensor]:
        """The component's own matrices by role, (out, in), and biases by `role.bias`, in the compute type."""
        from weightscope.components.weights import Weights

        held = None if self.run.held is None else self.run.held.get((self.prefix, component))
        if held is not None:
            return held
        sizes = component.sizes()
        found: dict[str, torch.Tensor] = {}
        for item in component.stored:
            # Tables and masks that old checkpoints carry are computed instead.
            if not (isinstance(item, Buffer) and item.optional):
                found |= item.read(self.prefix, sizes, self.run.reader)
        weights = Weights(found, self.run.dtype)
        if self.run.held is None:
            return weights
        return self.run.held.setdefault((self.prefix, component), dict(weights))

    def gather(self, component: Part, table: Plain, index: torch.Tensor) -> torch.Tensor:
        """Rows [T, D] of a table in the compute type; nothing else of it is read."""
        if self.run.held is not None:
            return self.weights(component)[table.role][index]
        return self.run.reader.rows(table.path(self.prefix), index).to(self.run.dtype)

    def project(
        self,
        component: Part,
        table: Plain,
        x: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        normalized: bool = False,
    ) -> torch.Tensor:
        """X · tableᵀ + bias, [T, D] to [T, rows], the table read slab by slab and its rows `normalized` if asked to."""
        import torch

        from weightscope.components.weights import product_into
        from weightscope.pool import converted

        functional = torch.nn.functional
        if self.run.held is not None:
            held = self.weights(component)[table.role]
            return functional.linear(x, functional.normalize(held, dim=-1) if normalized else held, bias)
        name = table.path(self.prefix)
        rows, width = (int(size) for size in component.sizes()[table.role])
        step = max(1, SLAB_ELEMENTS // max(width, 1))
        out = x.new_empty(len(x), rows)
        slabs = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
        for slab, following in zip(slabs, [*slabs[1:], None], strict=True):
            matrix = self.run.reader.rows(name, slab)
            if following:
                self.run.reader.ahead([name], following)
            if normalized:
                matrix = functional.normalize(converted(matrix, self.run.dtype), dim=-1)
            product_into(out[:, slab], x, matrix)
        return out if bias is None else out + bias

    def rotation(self, rope: Rotation) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, dim/2] of every position, computed once a pass for all layers that share them."""
        known = self.run.rotations.get(rope)
        if known is None:
            known = self.run.rotations[rope] = rope.rotation(self.run.positions, self.run.dtype)
        return known


def linear(x: torch.Tensor, weights: Mapping[str, torch.Tensor], role: str) -> torch.Tensor:
    """X · Wᵀ + b; where the role has bounds, x and the result are clamped to them (Gemma 4)."""
    from weightscope.components.weights import Weights, product

    bias, bounds = weights.get(f"{role}.bias"), weights.get(f"{role}{BOUNDS_END}")
    if bounds is not None:
        x = x.clamp(bounds[0], bounds[1])
    out = weights.product(x, role, bias) if isinstance(weights, Weights) else product(x, weights[role], bias)
    return out if bounds is None else out.clamp(bounds[2], bounds[3])
