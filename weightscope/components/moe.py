"""Mixture of experts (Shazeer et al. 2017): a router chooses a few feed-forward layers for each token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from weightscope.components.base import Component, Repeat, needed
from weightscope.components.mlp import GatedMLP
from weightscope.components.running import At, linear
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """How scores become a choice: `score` is softmax or sigmoid; of `groups` of experts only the `kept` best count.

    `normalize` makes a token's weights add up to 1; `scale` multiplies them. Defaults are Mixtral's, the rest
    DeepSeek-V3's (arXiv 2412.19437, section 2.1.2).
    """

    score: Literal["softmax", "sigmoid"] = "softmax"
    groups: int = 1
    kept: int = 1
    normalize: bool = True
    scale: float = 1.0


class MixtureOfExperts(Component, frozen=True, kw_only=True):
    """Σ weight · expert(x) over the `chosen` of `experts` that the router `gate` scores highest, plus `shared`.

    `correction` is a buffer of one number an expert that shifts the choice but not the weights (DeepSeek-V3's
    auxiliary-loss-free balancing).
    """

    name: str
    width: Size
    experts: Size
    chosen: Size
    expert: GatedMLP
    routing: Routing = Routing()
    shared: GatedMLP | None = None
    correction: str | None = None
    section: Section | None = Section.MOE

    @property
    def stored(self) -> Iterable[StorageItem]:
        """The router, and its correction."""
        yield Linear("gate", Role.ROUTER)
        if self.correction:
            yield Buffer(self.correction, Role.ROUTER_BIAS, (self.experts,), optional=False)

    def sizes(self) -> Sizes:
        """(experts, width)."""
        return {Role.ROUTER: (self.experts, self.width)}

    def children(self) -> Iterable[Component]:
        """The routed experts, then what every token passes through."""
        yield Repeat(
            name="experts", indices=range(self.experts), child=self.expert, of="expert", chosen=int(self.chosen)
        )
        if self.shared:
            yield self.shared

    @property
    def word(self) -> str:
        """The field's word for it."""
        return "moe"

    def equation(self, x: str = "x") -> str:
        """The sum over the chosen experts, and the shared ones."""
        score = f"{self.routing.score}(router·{x})"
        routed = f"Σ weight·expert({x}) over the top {int(self.chosen)} of {int(self.experts)} by {score}"
        return f"shared({x}) + {routed}" if self.shared else routed

    def terms(self) -> Mapping[Role, str]:
        """The router's scores, and what shifts them."""
        chosen = f"the best {int(self.chosen)} of {int(self.experts)} experts"
        if self.routing.groups > 1:
            chosen += f", out of the best {self.routing.kept} of {self.routing.groups} groups"
        weights = " that add up to 1" * self.routing.normalize
        return {
            Role.ROUTER: f"s = {self.routing.score}(router·x): {chosen}, with weights{weights}",
            Role.ROUTER_BIAS: "s + router_bias decides which experts, s alone how much of each",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]; only experts that a token wants are read, each while the one before computes."""
        import torch

        weights, experts = self._route(x, at)
        out = at.call(self.shared, x) if self.shared else torch.zeros_like(x)
        repeated = next(part for part in self.children() if isinstance(part, Repeat))
        wanted = torch.unique(experts).tolist()
        for number, following in zip(wanted, [*wanted[1:], None], strict=True):
            token, place = torch.where(experts == number)
            if following is not None and at.run.held is None:
                beside = at.below(repeated, following).below(self.expert)
                at.run.reader.ahead(needed(self.expert, beside.prefix))
            answer = self.expert.forward(x[token], at.below(repeated, number).below(self.expert))
            out.index_add_(0, token, answer * weights[token, place, None])
        return out

    def _route(self, x: torch.Tensor, at: At) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and numbers [T, chosen] of each token's experts."""
        import torch

        read, routing = at.weights(self), self.routing
        logits = linear(x, read, Role.ROUTER)
        scores = logits.sigmoid() if routing.score == "sigmoid" else logits.softmax(-1)
        ranked = scores + read[Role.ROUTER_BIAS] if self.correction else scores
        if routing.groups > 1:
            grouped = ranked.reshape(len(x), routing.groups, -1)
            # A group is as good as its two best experts together.
            best = grouped.topk(2, dim=-1).values.sum(-1).topk(routing.kept, dim=-1).indices
            kept = torch.zeros(len(x), routing.groups, dtype=torch.bool, device=x.device).scatter_(1, best, value=True)
            ranked = grouped.masked_fill(~kept[..., None], float("-inf")).flatten(1)
        experts = ranked.topk(int(self.chosen), dim=-1).indices
        weights = scores.gather(1, experts)
        if routing.normalize:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return weights * routing.scale, experts
