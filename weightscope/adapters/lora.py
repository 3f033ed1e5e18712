"""LoRA (Hu et al. 2021), rank-stabilized LoRA (Kalajdzievski 2023) and DoRA (Liu et al. 2024): W + s·B·A.

Shapes: O outputs, I inputs (of a kernel all its inputs), R rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Fault, Module, Raw, Read, times, unscaled, widened
from weightscope.adapters.common.settings import Settings
from weightscope.pool import converted, empty
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {
    "A": Role.LORA_A, "B": Role.LORA_B, "B.bias": Role.LORA_B, "embedding_A": Role.LORA_A, "embedding_B": Role.LORA_B,
    "turned_A": Role.LORA_A, "turned_B": Role.LORA_B, "magnitude": Role.LORA_MAGNITUDE, "alpha": Role.LORA_ALPHA,
}  # fmt: skip
# The pairs as libraries store them: of a Linear, of a table of embeddings, and MLX's (in, rank) and (rank, out).
LINEAR, TABLE, TURNED = ("A", "B"), ("embedding_A", "embedding_B"), ("turned_A", "turned_B")
DIMENSIONS = (2, 3, 4, 5)


def added(weight: torch.Tensor, outward: torch.Tensor, inward: torch.Tensor, scale: float) -> torch.Tensor:
    """W [O, …] + scale · outward [O, R] · inward [R, I], as [O, I] in float32 at least; `weight` is not written to."""
    import torch

    flat = converted(weight, torch.promote_types(weight.dtype, torch.float32)).flatten(1)
    room = empty(flat.shape, flat.dtype) if flat.device.type == "cpu" else None
    return torch.addmm(flat, outward.to(flat), inward.to(flat), alpha=scale, out=room)


class LowRank(msgspec.Struct, frozen=True, kw_only=True):
    """W + s·B·A, with a `magnitude` m (m / |W + s·B·A|)·(W + s·B·A), the length taken of each row.

    `a` and `b` name the two factors; `pair` says how they are stored. Of a table, A has a column for each token and
    the lengths are those of the columns of W.
    """

    weight: str
    a: str
    b: str
    pair: tuple[str, str]
    shape: tuple[int | None, ...]
    rank: int
    scale: float | None
    magnitude: str = ""

    @property
    def tensors(self) -> tuple[str, ...]:
        """A, B and the magnitudes."""
        return (self.a, self.b, self.magnitude) if self.magnitude else (self.a, self.b)

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        product = "Aᵀ·Bᵀ" if self.pair == TABLE else "B·A"
        changed = f"W + {times(self.scale)}·{product}"
        return f"(m / |{changed}|)·({changed})" if self.magnitude else changed

    @property
    def adds(self) -> bool:
        """What has magnitudes does more."""
        return not self.magnitude

    @property
    def rowwise(self) -> bool:
        """All but the lengths of a table's columns."""
        return not (self.magnitude and self.pair == TABLE)

    @property
    def unready(self) -> str:
        """Whether the scale is known."""
        return unscaled(self.scale, self.weight)

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        changed = added(weight, *self._factors(raw, rows), self.scale or 0.0)
        if self.magnitude:
            changed = self._lengthened(changed, raw, rows)
        return changed.view(weight.shape)

    def _factors(self, raw: Raw, rows: slice | torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """B [O, R] or some rows of it, and A [R, I]."""
        if self.pair == LINEAR:
            part = raw.whole(self.b) if rows is None else raw.rows(self.b, rows)
            return part.flatten(1), raw.whole(self.a).flatten(1)
        # The table's rows are tokens, so A is what belongs to them.
        first, second = (self.a, self.b) if self.pair == TABLE else (self.b, self.a)
        outward, inward = raw.whole(first), raw.whole(second)
        return (outward.T if rows is None else outward.T[rows]), inward.T

    def _lengthened(self, changed: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None) -> torch.Tensor:
        import torch

        lengths: torch.Tensor
        if self.pair == TABLE:
            lengths = torch.linalg.vector_norm(changed, dim=0, keepdim=True)
            return changed.mul_(raw.whole(self.magnitude).to(changed).view(1, -1) / lengths)
        magnitudes = raw.whole(self.magnitude).to(changed).view(-1, 1)
        lengths = torch.linalg.vector_norm(changed, dim=1, keepdim=True)
        return changed.mul_((magnitudes if rows is None else magnitudes[rows]) / lengths)


class AddedBias(msgspec.Struct, frozen=True, kw_only=True):
    """b + s·b_B: what B's own bias adds to the bias of its module."""

    weight: str
    tensor: str
    shape: tuple[int | None, ...]
    scale: float | None
    rank: int | None = None
    rowwise: bool = False
    adds: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """The one."""
        return (self.tensor,)

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        return f"b + {times(self.scale)}·b_B"

    @property
    def unready(self) -> str:
        """Whether the scale is known."""
        return unscaled(self.scale, self.weight)

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        del rows
        wide = widened(weight)
        return wide + raw.whole(self.tensor).to(wide) * (self.scale or 0.0)


def read(module: Module, settings: Settings) -> Read:
    """The low-rank change of a module's weight."""
    pair = next((pair for pair in (LINEAR, TABLE, TURNED) if set(pair) & set(module.parts)), LINEAR)
    if faults := module.lacking(**dict(zip(pair, ("lora_A", "lora_B"), strict=True))):
        return Read(faults=faults)
    first, second = module.shape(pair[0]), module.shape(pair[1])
    sizes = (*first, *second)
    if len(first) not in DIMENSIONS or len(second) not in DIMENSIONS or 0 in sizes:
        why = ": saved before they were gathered (ZeRO-3, FSDP)" if 0 in sizes else ""
        return Read(faults=(module.fault(f"lora_A {list(first)} and lora_B {list(second)} are no matrices{why}"),))
    ranks = (first[1], second[0]) if pair == TURNED else (first[0], second[1])
    if ranks[0] != ranks[1]:
        return Read(faults=(module.fault(f"lora_A has rank {ranks[0]:,}, but lora_B has rank {ranks[1]:,}"),))
    low_rank = LowRank(
        weight=module.weight, a=module.parts[pair[0]], b=module.parts[pair[1]], pair=pair, rank=ranks[0],
        shape=_changed(pair, first, second), scale=settings.scale_of(module.name, ranks[0]),
        magnitude=module.parts.get("magnitude", ""),
    )  # fmt: skip
    return Read(changes=(low_rank, *_bias(module, low_rank)), faults=tuple(_faults(module, low_rank, settings)))


def _changed(pair: tuple[str, str], first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int | None, ...]:
    """The shape that the weight must have."""
    if pair == TABLE:
        return first[1], second[0]
    return (second[1], first[0]) if pair == TURNED else (second[0], *first[1:])


def _bias(module: Module, low_rank: LowRank) -> list[AddedBias]:
    if "B.bias" not in module.parts:
        return []
    return [
        AddedBias(
            weight=f"{module.name}.bias", tensor=module.parts["B.bias"], shape=(low_rank.shape[0],),
            scale=low_rank.scale,
        )
    ]  # fmt: skip


def _faults(module: Module, low_rank: LowRank, settings: Settings) -> Iterator[Fault]:
    """What the settings say otherwise, and magnitudes that do not fit."""
    if not settings.ranks.unread:
        yield from module.other_rank(low_rank.rank, settings.rank_of(module.name))
    if settings.dora and not low_rank.magnitude:
        yield module.fault("lora_magnitude_vector is missing, but the settings say use_dora")
    if low_rank.magnitude:
        length = module.shape("magnitude")
        wanted = low_rank.shape[-1 if low_rank.pair == TABLE else 0]
        if len([size for size in length if size != 1]) > 1 or max(length, default=0) != wanted:
            yield module.fault(f"lora_magnitude_vector is {list(length)}, not [{wanted}]")
