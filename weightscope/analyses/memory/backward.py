"""An estimate of what a training step keeps of its forward pass until the backward pass has used it.

It follows how transformers' modules compute, without materialized scores, where all weights are trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from weightscope.brief import brief
from weightscope.components.walk import Slot
from weightscope.families.registry import Declaration
from weightscope.roles import Role
from weightscope.storage.base import Kind

# The types of which the estimate was measured.
MEASURED = ("llama", "mistral", "qwen2", "qwen3")
# Vectors of a matrix's outputs that are kept: rotated queries and what attention puts out; keys; values; the gate, the
# same activated; up, its product with the gate.
KEPT = {Role.Q_PROJ: 2, Role.K_PROJ: 1, Role.V_PROJ: 1, Role.GATE_PROJ: 2, Role.UP_PROJ: 2}
NORMS = (Role.INPUT_NORM, Role.POST_ATTENTION_NORM)
HEAD_NORMS = {Role.Q_NORM: Role.Q_PROJ, Role.K_NORM: Role.K_PROJ}
# Logits, what the loss keeps of them, and their gradient, in float32.
LOGITS = 3


class StepActivations(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak of a training step beside weights, gradients and optimizer state; an estimate.

    Attributes:
        kept: where the forward pass keeps all that the backward pass needs.
        checkpointed: where it keeps each layer's input alone and computes the layer again.
    """

    kept: int
    checkpointed: int

    __repr__ = brief


def step_activations(declaration: Declaration, tokens: int, size: int) -> StepActivations | None:
    """Of so many tokens, computed in elements of `size` bytes; None for a model of which it was not measured."""
    roles = {_role(slot) for slot in declaration.slots}
    if declaration.family.model_type not in MEASURED or declaration.contained or Role.CLASSIFIER in roles:
        return None
    # How many elements of the computation one of float32 takes.
    wide = 4 // size
    layers = [slot for slot in declaration.slots if slot.ranges]
    depth = len(layers[0].ranges[0]) if layers else 0
    table = next(slot for slot in declaration.slots if _role(slot) is Role.TOKEN_EMBEDDING)
    vocabulary, width = map(int, table.stored.shape)
    outputs = _outputs(layers)
    layer = _elements(outputs, wide)
    rest = (wide + 2) * width + LOGITS * wide * vocabulary
    inputs = depth * width
    # Beside a layer that was computed again live the gradients of its input and of its widest part.
    again = layer + width + max(2 * outputs.get(Role.UP_PROJ, 0), 3 * outputs.get(Role.Q_PROJ, 0))
    return StepActivations(
        kept=tokens * size * (depth * layer + rest),
        checkpointed=tokens * size * (inputs + max(rest, again)),
    )


def _outputs(slots: Iterable[Slot]) -> dict[Role, int]:
    """The elements that each matrix and norm of a layer puts out."""
    return {_role(slot): int(slot.stored.shape[0]) for slot in slots if slot.stored.kind is Kind.WEIGHT}


def _elements(outputs: Mapping[Role, int], wide: int) -> int:
    """What one layer keeps of a token."""
    projected = sum(times * outputs.get(role, 0) for role, times in KEPT.items())
    # Norms compute in float32: what enters, the same normed, and what leaves.
    normed = sum((wide + 2) * outputs[role] for role in NORMS if role in outputs)
    by_head = sum((wide + 1) * outputs[of] for norm, of in HEAD_NORMS.items() if norm in outputs)
    return projected + normed + by_head


def _role(slot: Slot) -> Role:
    return slot.stored.parts[0][0]
