"""Longformer's attention (arXiv 2004.05150): a window around each token, and a few tokens that see and are seen by all.

Shapes: H heads, T tokens, G global tokens, d elements of a head.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from weightscope.components.attention.heads import Heads
from weightscope.components.base import Component
from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.running import At, linear
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem

if TYPE_CHECKING:
    import torch

KEY = "global tokens"
GIVEN = "global_attention_mask"
Unsaid = Literal["none", "first", "question", "choice"]
LOCAL = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
GLOBAL = (Role.GLOBAL_Q_PROJ, Role.GLOBAL_K_PROJ, Role.GLOBAL_V_PROJ)
# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24


class GlobalEmbeddings(TokenEmbeddings, frozen=True, kw_only=True):
    """BERT's embeddings, which also find out which tokens are global.

    `global_attention_mask` says so. Where it is not given it is none, the first token (of a classifier), or with
    `question` all before the first of three separators, with `choice` all from two after it on.
    """

    unsaid: Unsaid = "none"
    separator: int | None = None

    @property
    def takes(self) -> tuple[str, ...]:
        return (*super().takes, GIVEN)

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to [T, D].

        Raises:
            UsageError: nothing tells which tokens are the question.
        """
        import torch

        given = at.run.inputs.get(GIVEN)
        if given is not None:
            chosen = given.to(x.device).flatten().bool()
        else:
            chosen = torch.zeros(len(x), dtype=torch.bool, device=x.device)
            ends = (x == self.separator).nonzero() if self.separator is not None else x[:0]
            if self.unsaid == "first":
                chosen[0] = True
            elif self.unsaid in ("question", "choice"):
                if len(ends) != 3:
                    raise UsageError(
                        f"the tokens have {len(ends):,} separators, and a question before a text has 3",
                        hint=f"give {GIVEN}, or token {self.separator} after the question, before and after the text",
                    )
                end = int(ends[0])
                chosen[slice(end) if self.unsaid == "question" else slice(end + 2, None)] = True
        at.run.shared[KEY] = chosen
        return super().forward(x, at)


class WindowAndGlobal(Component, frozen=True, kw_only=True):
    """o·softmax(q·kᵀ/√d)·v over `reach` tokens on both sides and global ones, which have q, k and v of their own."""

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads
    reach: int
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.projections

    def sizes(self) -> Sizes:
        return dict.fromkeys((*LOCAL, *GLOBAL, Role.O_PROJ), (self.width, self.width))

    @property
    def glance(self) -> str:
        return f"{self.heads.words}, bidirectional within {self.reach:,} and over global tokens"

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)})·v"

    def terms(self) -> Mapping[Role, str]:
        of = f"in {int(self.heads.count)} heads of {int(self.heads.size)}"
        local = {role: f"{str(role)[0]} = {role}·x   {of}, of tokens that are not global" for role in LOCAL}
        whole = {role: f"{role}·x   {of}, for global tokens, which see all" for role in GLOBAL}
        return local | whole | {Role.O_PROJ: "o_proj·[heads side by side]"}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        import torch

        weights, chosen = at.weights(self), at.run.shared[KEY]
        q, k, v = (self.heads.split(linear(x, weights, role)) for role in LOCAL)
        places = torch.arange(len(x), device=x.device)
        step = max(1, SCORES // max(len(q) * len(x), 1))
        parts = []
        for start in range(0, len(x), step):
            near = (places[start : start + step, None] - places).abs() <= self.reach
            scores = q[:, start : start + step] @ k.transpose(1, 2) * self.heads.size**-0.5
            parts.append(torch.softmax(scores.masked_fill(~(near | chosen), -math.inf), dim=-1) @ v)
        mixed = torch.cat(parts, dim=1)
        if chosen.any():
            queries = self.heads.split(linear(x[chosen], weights, Role.GLOBAL_Q_PROJ))
            keys, values = (self.heads.split(linear(x, weights, role)) for role in GLOBAL[1:])
            mixed[:, chosen] = attend_all(queries, keys, values, self.heads.size**-0.5)
        return linear(mixed.transpose(0, 1).flatten(1), weights, Role.O_PROJ)


def attend_all(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """What few queries [H, G, d] see of all keys and values [H, T, d]."""
    import torch

    return torch.softmax(q @ k.transpose(1, 2) * scale, dim=-1) @ v
