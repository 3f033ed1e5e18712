"""An MLP and a mixture of experts side by side, each between norms of its own (Gemma 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.base import Component, Conflict
from weightscope.components.feed_forward.experts import StackedExperts, add_experts, more_than_there_are
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.norm import Norm, RMSNorm
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch

    from weightscope.components.state import State


class DenseAndMixed(Component, frozen=True, kw_only=True):
    """norm(mlp(norm(x))) + norm(Σ weight · expert(norm(x))), the experts chosen by x itself.

    The router sees x scaled to a root mean square of 1, times a learned scale, over √width. Weights of the chosen
    experts add up to 1, each multiplied by a learned number of its expert. Source: `Gemma4TextRouter` of transformers.
    """

    width: Size
    dense_norm: Norm
    dense: GatedMLP
    dense_out_norm: Norm
    mixed_norm: Norm
    experts: StackedExperts
    mixed_out_norm: Norm
    eps: float
    word: ClassVar[str] = "mlp + moe"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("router.proj", Role.ROUTER),
            Plain("router", Role.ROUTER_SCALE, leaf="scale"),
            Plain("router", Role.EXPERT_SCALE, leaf="per_expert_scale"),
        )

    def sizes(self) -> Sizes:
        experts = self.experts.experts
        return {
            Role.ROUTER: (experts, self.width),
            Role.ROUTER_SCALE: (self.width,),
            Role.EXPERT_SCALE: (experts,),
        }

    @property
    def glance(self) -> str:
        mixed = self.experts
        return f"{self.dense.glance} + {mixed.experts:,} experts of {mixed.expert.inner:,}, {mixed.chosen:,} per token"

    def conflicts(self) -> Iterable[Conflict]:
        return more_than_there_are(self.experts.chosen, self.experts.experts)

    def equation(self, x: str = "x") -> str:
        routed = f"Σ weight·expert(norm({x})) over the top {int(self.experts.chosen)} of {int(self.experts.experts)}"
        return f"norm({self.dense.equation(f'norm({x})')}) + norm({routed})"

    def terms(self) -> Mapping[Role, str]:
        return {
            Role.ROUTER: "s = softmax(router·(router_scale ⊙ x / rms(x) / √width)): the top experts, weights sum to 1",
            Role.ROUTER_SCALE: "router_scale ⊙ x / rms(x) is the input of the router",
            Role.EXPERT_SCALE: "each expert's weight · its expert_scale",
        }

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]; only experts that a token wants are read, each while the one before computes."""
        import torch

        dense = at.call(self.dense_out_norm, at.call(self.dense, at.call(self.dense_norm, x)))
        read = at.weights(self)
        plain = RMSNorm(name="", role=Role.NORM, size=self.width, eps=self.eps, weighted=False)
        seen = plain.forward(x, at) * read[Role.ROUTER_SCALE] * self.width**-0.5
        weights, chosen = linear(seen, read, Role.ROUTER).softmax(-1).topk(int(self.experts.chosen), dim=-1)
        weights = weights / weights.sum(-1, keepdim=True) * read[Role.EXPERT_SCALE][chosen]
        normed, place = at.call(self.mixed_norm, x), at.below(self.experts)
        out = torch.zeros_like(x)
        add_experts(
            out,
            normed,
            weights,
            chosen,
            answer=lambda number, part: self.experts.answer(number, part, place),
            ahead=lambda number: self.experts.ahead(number, place),
        )
        return dense + at.call(self.mixed_out_norm, out)
