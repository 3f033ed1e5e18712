"""VeRA (Kopiczko et al. 2024): W + diag(b)·B·diag(d)·A, with the same random A and B for all modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.change import Module, Raw, Read
from weightscope.adapters.common.settings import Settings
from weightscope.adapters.lora import added
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"vera_b": Role.VERA_VECTOR, "vera_d": Role.VERA_VECTOR}
# Stored once for all modules, as large as the largest of them.
SHARED = {"vera_A": Role.VERA_PROJECTION, "vera_B": Role.VERA_PROJECTION}


class Vectors(msgspec.Struct, frozen=True, kw_only=True):
    """W + diag(b)·B·diag(d)·A with vectors b [O] and d [R]; of A [R, …] and B [… , R] the first columns and rows.

    `inputs` are the columns of A, the most that a weight may have.
    """

    weight: str
    a: str
    b: str
    outward: str
    inward: str
    shape: tuple[int | None, ...]
    rank: int
    inputs: int | None = None
    unready: str = ""
    adds: bool = True
    rowwise: bool = True
    formula: str = "W + diag(b)·B·diag(d)·A"

    @property
    def tensors(self) -> tuple[str, ...]:
        """The vectors, and the matrices where they are stored."""
        return tuple(filter(None, (self.outward, self.inward, self.a, self.b)))

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        a, b = raw.whole(self.a), raw.whole(self.b)[: self.shape[0]]
        vector = raw.whole(self.outward)
        if rows is not None:
            b, vector = b[rows], vector[rows]
        return added(weight, vector[:, None] * b, raw.whole(self.inward)[:, None] * a[:, : weight.shape[1]], 1.0)


def read(module: Module, settings: Settings) -> Read:
    """The change of a module's weight."""
    if faults := module.lacking(vera_b="vera_lambda_b", vera_d="vera_lambda_d"):
        return Read(faults=faults)
    b, d = module.shape("vera_b"), module.shape("vera_d")
    if len(b) != 1 or len(d) != 1:
        return Read(faults=(module.fault(f"vera_lambda_b {list(b)} and vera_lambda_d {list(d)} are no vectors"),))
    stored = SHARED.keys() <= module.parts.keys()
    if stored and not _holds(module.shape("vera_A"), module.shape("vera_B"), b[0], d[0]):
        shapes = f"vera_A {list(module.shape('vera_A'))} and vera_B {list(module.shape('vera_B'))}"
        return Read(faults=(module.fault(f"{shapes} do not fit vectors of {b[0]:,} and {d[0]:,}"),))
    change = Vectors(
        weight=module.weight,
        outward=module.parts["vera_b"],
        inward=module.parts["vera_d"],
        a=module.parts.get("vera_A", ""),
        b=module.parts.get("vera_B", ""),
        shape=(b[0], None),
        rank=d[0],
        inputs=module.shape("vera_A")[1] if stored else None,
        unready="" if stored else "the random matrices of VeRA are not stored (save_projection is false)",
    )
    return Read(changes=(change,), faults=module.other_rank(d[0], settings.rank_of(module.name)))


def _holds(a: tuple[int, ...], b: tuple[int, ...], outputs: int, rank: int) -> bool:
    return len(a) == len(b) == 2 and a[0] == b[1] == rank and b[0] >= outputs
