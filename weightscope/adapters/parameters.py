"""LoRA on parameters rather than modules (PEFT's `target_parameters`): the stacked experts of a mixture.

Shapes: E experts, O outputs, I inputs, R rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read, times, unscaled
from weightscope.adapters.common.settings import Settings
from weightscope.adapters.lora import LINEAR, LowRank
from weightscope.pool import converted

if TYPE_CHECKING:
    import torch

# PEFT wraps a module once for each of its parameters, in the order in which transformers registers them.
ORDER = ("gate_up_proj", "up_proj", "down_proj")


class StackedLowRank(msgspec.Struct, frozen=True, kw_only=True):
    """W + s·B·A of each expert of a stack [E, O, I]: A is [E·R, I] and B [O, R·E], experts in turn."""

    weight: str
    a: str
    b: str
    shape: tuple[int | None, ...]
    rank: int
    scale: float | None
    adds: bool = True
    rowwise: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """A and B."""
        return self.a, self.b

    @property
    def experts(self) -> int:
        """How many there are."""
        return self.shape[0] or 0

    @property
    def formula(self) -> str:
        """With the scale as a number."""
        return f"W + {times(self.scale)}·B·A of each expert"

    @property
    def unready(self) -> str:
        """Whether the scale is known."""
        return unscaled(self.scale, self.weight)

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`; its rows are experts."""
        import torch

        wide = converted(weight, torch.promote_types(weight.dtype, torch.float32))
        inward = raw.whole(self.a).to(wide).unflatten(0, (self.experts, self.rank))  # type: ignore[no-untyped-call]
        outward = raw.whole(self.b).to(wide).unflatten(1, (self.rank, self.experts)).permute(2, 0, 1)  # type: ignore[no-untyped-call]
        if rows is not None:
            inward, outward = inward[rows], outward[rows]
        return torch.baddbmm(wide, outward, inward, alpha=self.scale or 0.0)

    def of_expert(self, number: int, rows: slice) -> ExpertLowRank:
        """The part of it that belongs to some rows of one expert, where experts are tensors of their own."""
        return ExpertLowRank(stack=self, number=number, start=rows.start, stop=rows.stop)


class ExpertLowRank(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a stack's change that is one expert's, and of it the rows from `start` to `stop` of B."""

    stack: StackedLowRank
    number: int
    start: int
    stop: int
    adds: bool = True
    rowwise: bool = False
    unready: str = ""

    @property
    def weight(self) -> str:
        """The stack's."""
        return self.stack.weight

    @property
    def tensors(self) -> tuple[str, ...]:
        """The stack's."""
        return self.stack.tensors

    @property
    def formula(self) -> str:
        """The stack's."""
        return self.stack.formula

    @property
    def rank(self) -> int:
        """The stack's."""
        return self.stack.rank

    @property
    def shape(self) -> tuple[int | None, ...]:
        """One expert's."""
        return self.stop - self.start, self.stack.shape[2]

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        del rows
        import torch

        wide = converted(weight, torch.promote_types(weight.dtype, torch.float32))
        first = self.number * self.rank
        inward = raw.rows(self.stack.a, slice(first, first + self.rank)).to(wide)
        outward = raw.rows(self.stack.b, slice(self.start, self.stop))[:, self.number :: self.stack.experts].to(wide)
        return torch.addmm(wide, outward, inward, alpha=self.stack.scale or 0.0)


def parameter_of(module: str, depth: int, settings: Settings) -> str:
    """The whole name of the parameter that a wrapper around a module is for; empty where it is for the module itself.

    `depth` counts the wrappers around it: the innermost is for the first parameter.
    """
    if not settings.parameters or settings.targets.holds(module):
        return ""
    fitting = [name for name in settings.parameters if f"{module}.{_last(name)}".endswith(f".{name}")]
    most = max((name.count(".") for name in fitting), default=0)
    leaves = sorted({_last(name) for name in fitting if name.count(".") == most}, key=_order)
    # Depth 0 is the outermost, and so the last.
    return f"{module}.{leaves[-1 - depth]}" if depth < len(leaves) else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _order(leaf: str) -> tuple[int, str]:
    return (ORDER.index(leaf) if leaf in ORDER else len(ORDER)), leaf


def read(module: Module, settings: Settings) -> Read:
    """The change of a parameter, whose name is the module's here."""
    if faults := module.lacking(A="lora_A", B="lora_B"):
        return Read(faults=faults)
    first, second = module.shape("A"), module.shape("B")
    if len(first) != 2 or len(second) != 2 or first[0] != second[1] or not first[0]:
        return Read(faults=(module.fault(f"lora_A {list(first)} and lora_B {list(second)} do not fit"),))
    rank = settings.rank_of(module.name)
    if rank is None or first[0] % rank:
        return Read(faults=(module.fault(f"lora_A has {first[0]:,} rows, no multiple of the settings' rank {rank}"),))
    experts, scale = first[0] // rank, settings.scale_of(module.name, rank)
    if experts == 1:
        plain = LowRank(
            weight=module.name, a=module.parts["A"], b=module.parts["B"], pair=LINEAR, rank=rank, scale=scale,
            shape=(second[0], first[1]),
        )  # fmt: skip
        return Read(changes=(plain,))
    stack = StackedLowRank(
        weight=module.name, a=module.parts["A"], b=module.parts["B"], rank=rank, scale=scale,
        shape=(experts, second[0], first[1]),
    )  # fmt: skip
    return Read(changes=(stack,))
