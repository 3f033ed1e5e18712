"""LoRA as mlx-lm writes it: A is (in, rank) and B (rank, out); of experts both have a matrix for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters import lora
from weightscope.adapters.common.change import Module, Raw, Read
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"turned_A": Role.LORA_A, "turned_B": Role.LORA_B}
# Modules that are tables: their A has a row for each token.
TABLES = ("embed_tokens", "wte", "word_embeddings", "tok_embeddings", "embedding")


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a weight of that shape, which is checked and not computed: `unready` says why."""

    weight: str
    tensors: tuple[str, ...]
    shape: tuple[int | None, ...]
    rank: int | None
    unready: str
    formula: str = "W + s·B·A"
    adds: bool = True
    rowwise: bool = False

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """Never asked for: what is not ready is refused before."""
        raise NotImplementedError


def read(module: Module, settings: Settings) -> Read:
    """The low-rank change of a module's weight."""
    if faults := module.lacking(turned_A="lora_a", turned_B="lora_b"):
        return Read(faults=faults)
    first, second = module.shape("turned_A"), module.shape("turned_B")
    is_table = module.name.rpartition(".")[2] in TABLES
    if len(first) == len(second) == 3 and first[0] == second[0] and first[1] == second[2]:
        return _counted(module, settings, (first[0], second[1], first[2]), first[1], "experts")
    if is_table and len(first) == len(second) == 2 and first[1] == second[0]:
        return _counted(module, settings, (first[0], second[1]), first[1], "a table of embeddings")
    return lora.read(module, settings)


def _counted(module: Module, settings: Settings, shape: tuple[int, ...], rank: int, what: str) -> Read:
    change = Counted(
        weight=module.weight, tensors=(module.parts["turned_A"], module.parts["turned_B"]), shape=shape, rank=rank,
        unready=f"mlx-lm's LoRA of {what} is counted, not computed",
    )  # fmt: skip
    return Read(changes=(change,), faults=module.other_rank(rank, settings.rank_of(module.name)))
