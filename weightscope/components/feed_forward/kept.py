"""What a mixture keeps in a training step, and at which moments of its backward pass most lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.step import ALL, NOTHING, Moment, Step
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.components.feed_forward.moe import MixtureOfExperts


def saved(mixture: MixtureOfExperts, step: Step) -> int | None:
    """For each chosen expert its input, what it makes of it, and its output; what routes, and shared experts."""
    width = int(mixture.latent or mixture.width)
    shared = mixture.shared.saves(step) if mixture.shared else 0
    each = mixture.expert.saves(_of_experts(mixture, step))
    if shared is None or each is None:
        return None
    given = width if step.past(mixture).flows else 0
    routes = step.leaves(mixture, Role.ROUTER)
    router = 2 * step.widths.float32 * int(mixture.choices) if routes else 0
    if step.trains(mixture, Role.ROUTER):
        router += step.widths.router * int(mixture.width)
    gated = int(mixture.width) if mixture.shared_gate and step.flows else 0
    # Of what the shared experts keep, the input is counted once, with the router's.
    apart = shared - (mixture.shared.saves_input(step) if mixture.shared else 0)
    return saved_input(mixture, step) + int(mixture.chosen) * (given + each) + router + apart + gated


def saved_input(mixture: MixtureOfExperts, step: Step) -> int:
    """Elements that shared experts and the router keep of what enters, as it is."""
    shared = mixture.shared.saves_input(step) if mixture.shared else 0
    return max(shared, 0 if step.widths.router else step.input_of(mixture, Role.ROUTER))


def _of_experts(mixture: MixtureOfExperts, step: Step) -> Step:
    """The step as it reaches the routed experts, which are trained together or not at all."""
    experts = (child for child in mixture.children() if child not in (mixture.shared, mixture.by_token))
    return replace(step, learned=ALL if any(map(step.reaches, experts)) else NOTHING)


def moments(mixture: MixtureOfExperts, step: Step) -> tuple[Moment, ...]:
    """Three gradients of what experts gave; that of their products beside all down_proj's; what entered them."""
    width, inner, chosen = int(mixture.latent or mixture.width), int(mixture.expert.inner), int(mixture.chosen)
    of_experts = _of_experts(mixture, step)
    matrix = int(mixture.experts) * inner * width if of_experts.learned.whole else 0
    made = 2 if isinstance(mixture.expert, GatedMLP) else 1
    # Two gradients of what entered, when all is free that experts made of it.
    entered = width + made * inner - (width + 2 * made * inner)
    # Shared experts without a gate mostly come last, so the backward pass goes through them first.
    last = None if mixture.shared_gate or step.shared_first else mixture.shared
    freed = (last.saves(step) or 0) - last.saves_input(step) if last else 0
    # What experts gave is free when the backward pass is within them.
    within = max(moment.elements for moment in mixture.expert.backward(of_experts)) - width
    # What they gave times its share, and the same in order or its gradient; where a share is wide, cast before.
    # The layer's stream and what enters live beside them.
    shares = step.widths.shares
    copies = (2 if shares == 1 else 3) * shares + (0 if of_experts.learned.whole else 1)
    return (
        Moment(elements=2 * int(mixture.width) + chosen * width * copies - freed),
        Moment(elements=chosen * width * 3 * step.widths.shares - freed),
        Moment(elements=chosen * within - freed),
        Moment(elements=chosen * inner - freed, weight=matrix),
        Moment(elements=chosen * entered - freed, weight=made * matrix),
        *(mixture.shared.backward(step) if mixture.shared else ()),
    )
