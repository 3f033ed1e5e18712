"""The experts of a mixture: several in one tensor a role, some that are never read, and the sum over a token's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.base import Component, Conflict
from weightscope.components.feed_forward.mlp import MLP, GatedMLP
from weightscope.components.running import At
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem, join
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Buffer
from weightscope.storage.stacked import Stacked

if TYPE_CHECKING:
    import torch


class StackedExperts(Component, frozen=True, kw_only=True):
    """`experts` of one kind whose matrices lie in one tensor a role; `expert` has their maths and sizes.

    Only the part of an expert that a token wants is read. Where they have numbers, these count from `first`.
    """

    name: str
    items: tuple[Stacked, ...]
    experts: Size
    chosen: Size
    expert: GatedMLP | MLP
    first: int = 0

    @property
    def stored(self) -> Iterable[StorageItem]:
        return self.items

    def children(self) -> Iterable[Component]:
        """None: what the expert stores lies in the stacks."""
        return ()

    def sizes(self) -> Sizes:
        """Those of one expert, behind their number."""
        return {role: (self.experts, *shape) for role, shape in self.expert.sizes().items()}

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        return int(self.chosen), int(self.experts)

    @property
    def awaited(self) -> bool:
        """They are read part by part, as they are wanted."""
        return False

    def terms(self) -> Mapping[Role, str]:
        return self.expert.terms()

    def answer(self, number: int, x: torch.Tensor, at: At) -> torch.Tensor:
        """Expert `number` of x [T, width]."""
        from weightscope.components.weights import Weights

        return self.expert.mix(x, Weights(self.matrices(number, at), at.run.dtype))

    def matrices(self, number: int, at: At) -> dict[str, torch.Tensor]:
        """The matrices of expert `number` that lie here, in the type that they are read in."""
        if at.run.held is not None:
            return {key: tensor[number] for key, tensor in at.weights(self).items()}
        sizes = self.sizes()
        found: dict[str, torch.Tensor] = {}
        for item in self.items:
            found |= item.read_one(at.prefix, sizes, at.run.reader, number)
        return found

    def ahead(self, number: int, at: At) -> None:
        """Have that expert's part read while another computes."""
        if at.run.held is not None:
            return
        for item in self.items:
            for name, rows in item.rows_of(at.prefix, self.sizes(), number):
                at.run.reader.ahead([name], rows)


class SparedExperts(StackedExperts, frozen=True, kw_only=True):
    """Stacked experts with `spare` entries more that no token uses (LongCat-Flash as transformers 5 holds it)."""

    spare: Size

    def sizes(self) -> Sizes:
        """Those of one expert, behind the number of entries."""
        return {role: (self.experts + self.spare, *shape) for role, shape in self.expert.sizes().items()}

    @property
    def chosen_share(self) -> tuple[int, int] | None:
        return int(self.chosen), int(self.experts + self.spare)


class IdleMatrices(Component, frozen=True, kw_only=True):
    """Gate and up of an expert that answers without them: transformers saves them for LongCat-Flash's zero experts."""

    width: Size
    inner: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (
            Linear("gate_proj", Role.GATE_PROJ, optional=True),
            Linear("up_proj", Role.UP_PROJ, optional=True),
        )

    def sizes(self) -> Sizes:
        return {Role.GATE_PROJ: (self.inner, self.width), Role.UP_PROJ: (self.inner, self.width)}

    def terms(self) -> Mapping[Role, str]:
        unused = "not used: this expert answers x itself"
        return {Role.GATE_PROJ: unused, Role.UP_PROJ: unused}


class TokenExperts(Component, frozen=True, kw_only=True):
    """A table that lists the `chosen` experts of each token; only rows of the tokens at hand are read."""

    name: str
    table: str
    vocabulary: Size
    chosen: Size
    experts: Size

    @property
    def stored(self) -> Iterable[StorageItem]:
        """Whole numbers, which no pass may round."""
        return (Buffer(self.table, Role.TOKEN_EXPERTS, (self.vocabulary, self.chosen), optional=False),)

    @property
    def awaited(self) -> bool:
        """It is read row by row."""
        return False

    def equation(self, x: str = "") -> str:
        return f"the {int(self.chosen)} experts in token_experts[{x or 'token'}]"

    def terms(self) -> Mapping[Role, str]:
        return {Role.TOKEN_EXPERTS: f"{self.equation()} answer; the router weighs them"}

    def look(self, at: At) -> torch.Tensor:
        """The experts [T, chosen] of the pass's tokens.

        Raises:
            CheckpointError: the table names an expert that there is not.
        """
        if at.run.tokens is None:
            raise NotImplementedByWeightscope("experts chosen by token need a pass of tokens", where=at.prefix)
        name = join(at.prefix, self.table)
        experts = at.run.reader.rows(name, at.run.tokens).long()
        if experts.numel() and not 0 <= int(experts.min()) <= int(experts.max()) < self.experts:
            raise CheckpointError(f"{name} names experts beyond 0 to {int(self.experts) - 1:,}")
        return experts


def add_experts(
    out: torch.Tensor,
    x: torch.Tensor,
    weights: torch.Tensor,
    experts: torch.Tensor,
    *,
    answer: Callable[[int, torch.Tensor], torch.Tensor],
    ahead: Callable[[int], None],
    early: bool = False,
) -> None:
    """Add to `out` [T, D] what the `experts` [T, k] of each token answer to x [T, D], by their `weights` [T, k].

    Only experts that a token wants are asked, and the next one is announced `ahead` of the one that answers. With
    `early` what goes into an expert is weighted, not what comes out.
    """
    import torch

    wanted = torch.unique(experts).tolist()
    for number, following in zip(wanted, [*wanted[1:], None], strict=True):
        token, place = torch.where(experts == number)
        if following is not None:
            ahead(following)
        weight = weights[token, place, None]
        made = answer(number, x[token] * weight if early else x[token])
        out.index_add_(0, token, made if early else made * weight)


def more_than_there_are(chosen: Size, experts: Size) -> Iterable[Conflict]:
    """The conflict of a token that uses more experts than there are."""
    if chosen > experts:
        yield Conflict(f"a token uses {chosen:,} experts ({chosen.text}) of {experts:,}", (*chosen.keys, *experts.keys))
