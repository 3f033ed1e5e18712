"""Mixture of experts (Shazeer et al. 2017): a router chooses a few feed-forward layers for each token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from weightscope.components.base import Component, Conflict, Repeat
from weightscope.components.feed_forward.experts import (
    IdleMatrices,
    SparedExperts,
    StackedExperts,
    TokenExperts,
    add_experts,
    more_than_there_are,
)
from weightscope.components.feed_forward.kept import moments, saved, saved_input
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.feed_forward.routing import Routing
from weightscope.components.live import Live
from weightscope.components.running import At, linear
from weightscope.components.walk import needed
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer, Plain
from weightscope.storage.stacked import Stacked

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths
    from weightscope.components.state import State
    from weightscope.components.step import Moment, Step


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """Where experts lie whose matrices are in one tensor a role: the module's name, and the tensors below it.

    Those of `spared` items have entries for zero experts too, which no token uses.
    """

    items: tuple[Stacked, ...]
    name: str = "experts"
    spared: tuple[Stacked, ...] = ()


class MixtureOfExperts(Component, frozen=True, kw_only=True):
    """Σ weight · expert(x) over the `chosen` of `experts` that the router scores highest, plus `shared`.

    Experts lie as modules of their own below `experts`, or where `stacked` says. `correction` names one number an
    expert that shifts the choice but not the weights (DeepSeek-V3's auxiliary-loss-free balancing): a buffer, a
    parameter (AFMoE), or a row, which is a parameter [1, experts] (Ernie 4.5). `shared_gate` is the name of a vector
    whose sigmoid with x multiplies the shared experts (Qwen2-MoE). `latent` is the width that routed experts see of x,
    after one matrix and before another back (Nemotron 3); with `latent_bias` both have a bias. `zeros` is how many
    further experts a token may choose that answer x itself (LongCat-Flash's zero-computation experts). With a table
    `by_token` the experts of each token are listed, and the router only weighs them (DeepSeek-V4's first layers). The
    number of each expert stands after `number_prefix`; numbers count from `first`. The router is `router_stored` as
    Linear or Conv1D.
    """

    name: str
    width: Size
    experts: Size
    chosen: Size
    expert: GatedMLP | MLP
    routing: Routing = Routing()
    shared: GatedMLP | MLP | None = None
    correction: str | None = None
    section: Section | None = Section.MOE
    stacked: Stack | None = None
    router: str = "gate"
    router_stored: type[Linear] = Linear
    router_bias: bool = False
    shared_gate: str | None = None
    correction_kind: Literal["buffer", "parameter", "row"] = "buffer"
    latent: Size | None = None
    latent_bias: bool = False
    zeros: Size | None = None
    by_token: TokenExperts | None = None
    number_prefix: str = ""
    first: int = 0
    word: ClassVar[str] = "moe"

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield self.router_stored(self.router, Role.ROUTER, bias=self.router_bias)
        if self.correction and self.correction_kind != "buffer":
            yield Plain(self.correction, Role.ROUTER_BIAS, leaf="")
        elif self.correction:
            yield Buffer(self.correction, Role.ROUTER_BIAS, (self.choices,), optional=False)
        if self.shared_gate:
            yield Linear(self.shared_gate, Role.SHARED_GATE)
        if self.latent:
            yield Linear("fc1_latent_proj", Role.LATENT_DOWN_PROJ, bias=self.latent_bias)
            yield Linear("fc2_latent_proj", Role.LATENT_UP_PROJ, bias=self.latent_bias)

    @property
    def choices(self) -> Size:
        """What the router chooses from: experts, and zero experts if there are any."""
        return self.experts + self.zeros if self.zeros else self.experts

    def sizes(self) -> Sizes:
        return {
            Role.ROUTER: (self.choices, self.width),
            Role.ROUTER_BIAS: (Size(1), self.choices) if self.correction_kind == "row" else (self.choices,),
            Role.SHARED_GATE: (Size(1), self.width),
            Role.LATENT_DOWN_PROJ: (self.latent or self.width, self.width),
            Role.LATENT_UP_PROJ: (self.width, self.latent or self.width),
        }

    def children(self) -> Iterable[Component]:
        yield from self._stacks(self.stacked) if self.stacked else (self._single(),)
        if self.zeros and not self.stacked:
            idle = IdleMatrices(width=self.width, inner=self.expert.inner)
            yield Repeat(name="experts", indices=range(self.experts, self.choices), child=idle, of="expert", chosen=0)
        if self.shared:
            yield self.shared
        if self.by_token:
            yield self.by_token

    @property
    def glance(self) -> str:
        zeros = f" and {self.zeros:,} zero experts" if self.zeros else ""
        return f"{self.experts:,} experts of {self.expert.inner:,}{zeros}, {self.chosen:,} per token"

    def conflicts(self) -> Iterable[Conflict]:
        return more_than_there_are(self.chosen, self.choices)

    def equation(self, x: str = "x") -> str:
        score = self.routing.words(f"router·{x}")
        seen = f"latent_down_proj·{x}" if self.latent else x
        expert = f"expert(weight·{seen})" if self.routing.early else f"weight·expert({seen})"
        chosen = f"the top {int(self.chosen)} of {int(self.choices)} by {score}"
        routed = f"Σ {expert} over {self.by_token.equation() if self.by_token else chosen}"
        routed = f"latent_up_proj·({routed})" if self.latent else routed
        gate = f"sigmoid(shared_gate·{x})·" if self.shared_gate else ""
        return f"{gate}shared({x}) + {routed}" if self.shared else routed

    def terms(self) -> Mapping[Role, str]:
        chosen = f"the top {int(self.chosen)} of {int(self.choices)} experts"
        if self.zeros:
            chosen += f", of which the last {int(self.zeros)} answer x itself"
        if self.routing.groups > 1:
            chosen += f", from the top {self.routing.kept} of {self.routing.groups} groups"
        chosen = self.by_token.equation() if self.by_token else chosen
        weights = " that sum to 1" * self.routing.normalize
        return {
            Role.ROUTER: f"s = {self.routing.words('router·x')}: {chosen}, with weights{weights}",
            Role.ROUTER_BIAS: "s + router_bias selects the experts; their weights come from s alone",
            Role.SHARED_GATE: "sigmoid(shared_gate·x) scales the output of the shared experts",
            Role.LATENT_DOWN_PROJ: f"the input of the experts is latent_down_proj·x, of size {int(self.latent or 0)}",
            Role.LATENT_UP_PROJ: "latent_up_proj·(the sum over the experts)",
        }

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What is added to, what shared experts gave, and for each chosen expert its input with what it makes of it.

        That is gate and up, the activated gate and the product; or its output, the same times its share, and sorted.
        Experts whose input is weighted compute all tokens, with a share of 0 where they were not chosen.
        """
        width, inner = int(self.latent or self.width), int(self.expert.inner)
        copies = self.expert.copies(fused=True) if isinstance(self.expert, GatedMLP) else 4
        # The biases of each token's experts are put side by side.
        biased = self.stacked is not None and any(item.bias for item in self.stacked.items)
        copies += 2 * biased
        if self.routing.early:
            routed = int(self.experts) * max(width + inner * copies, 2 * width + inner * 3)
        else:
            routed = int(self.chosen) * max(width + inner * copies, width * (2 + biased + 2 * widths.shares))
        return (Live(elements=int(self.width) * (2 if self.shared else 1) + routed),)

    def saves(self, step: Step) -> int | None:
        return saved(self, step)

    def saves_input(self, step: Step) -> int:
        return saved_input(self, step)

    def backward(self, step: Step) -> tuple[Moment, ...]:
        return moments(self, step)

    def keeps(self) -> tuple[State, ...]:
        """Nothing: it sees one token at a time."""
        return ()

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, width] to [T, width]; only experts that a token wants are read, each while the one before computes."""
        return self.corrected(x, at, None)

    def corrected(self, x: torch.Tensor, at: At, correction: torch.Tensor | None) -> torch.Tensor:
        """The same with a correction [experts] that lies elsewhere, where there is none here."""
        import torch

        for conflict in self.conflicts():
            raise NotImplementedByWeightscope(f"{conflict.what}: there is nothing to compute", where=at.prefix)
        read = at.weights(self)
        correction = read[Role.ROUTER_BIAS].flatten() if self.correction else correction
        logits = linear(x, read, Role.ROUTER)
        if self.by_token:
            experts = self.by_token.look(at.below(self.by_token))
            weights = self.routing.weigh(logits, experts)
        else:
            weights, experts = self.routing.choose(logits, correction, int(self.chosen))
        out = at.call(self.shared, x) if self.shared else torch.zeros_like(x)
        if self.shared_gate:
            out = out * linear(x, read, Role.SHARED_GATE).sigmoid()
        seen = linear(x, read, Role.LATENT_DOWN_PROJ) if self.latent else x
        routed = torch.zeros_like(seen) if self.latent else out
        add_experts(
            routed,
            seen,
            weights,
            experts,
            answer=lambda number, part: self._answer(number, part, at),
            ahead=lambda number: self._ahead(number, at),
            early=self.routing.early,
        )
        return out + linear(routed, read, Role.LATENT_UP_PROJ) if self.latent else out

    def _answer(self, number: int, x: torch.Tensor, at: At) -> torch.Tensor:
        if number >= self.experts:
            return x
        if self.stacked:
            from weightscope.components.weights import Weights

            found: dict[str, torch.Tensor] = {}
            for stacked in self._stacks(self.stacked):
                found |= stacked.matrices(number, at.below(stacked))
            return self.expert.mix(x, Weights(found, at.run.dtype))
        return self.expert.forward(x, self.place(number, at))

    def place(self, number: int, at: At) -> At:
        """Where an expert lies that is a module of its own."""
        return at.below(self._single(), self.first + number).below(self.expert)

    @property
    def used(self) -> Size:
        """How many of its experts a token of a text uses."""
        return self.chosen

    def _ahead(self, number: int, at: At) -> None:
        """Have an expert read while another computes."""
        if number >= self.experts:
            return
        if self.stacked:
            for stacked in self._stacks(self.stacked):
                stacked.ahead(number, at.below(stacked))
        elif at.run.held is None:
            at.run.reader.ahead(needed(self.expert, self.place(number, at).prefix))

    def _stacks(self, stack: Stack) -> Iterable[StackedExperts]:
        name, experts, chosen, expert = stack.name, self.experts, self.used, self.expert
        items = stack.items
        if self.zeros and stack.spared:
            yield SparedExperts(
                name=name, items=stack.spared, experts=experts, chosen=chosen, expert=expert, spare=self.zeros
            )
            items = tuple(item for item in stack.items if item not in stack.spared)
        yield StackedExperts(name=name, items=items, experts=experts, chosen=chosen, expert=expert, first=self.first)

    def _single(self) -> Repeat:
        return Repeat(
            name="experts",
            indices=range(self.first, self.first + self.experts),
            child=self.expert,
            of="expert",
            chosen=int(self.used),
            number_prefix=self.number_prefix,
        )
