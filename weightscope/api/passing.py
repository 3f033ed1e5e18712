"""The forward pass of an opened model: what is refused before it begins, and what is computed with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weightscope.analyses.forward.heads import with_stored_head
from weightscope.analyses.forward.request import Request
from weightscope.analyses.forward.run import refuse_unread, run_forward
from weightscope.analyses.joining import join
from weightscope.analyses.rules.prefixes import adapter_weights
from weightscope.analyses.rules.shapes import misshapen_tensors
from weightscope.api.examining import said
from weightscope.checkpoint.entry import require_here
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import Declaration

if TYPE_CHECKING:
    from weightscope.analyses.forward.result import Result
    from weightscope.api.model import Model


def run_pass(model: Model, request: Request, adapters: Sequence[str | Path]) -> Result:
    """The pass with the adapters applied.

    Raises:
        WeightscopeError: as for `Model.forward`.
    """
    declaration = _declared(model)
    if declaration.contained:
        from weightscope.gguf.factors import with_factors

        declaration = with_factors(declaration, model.checkpoint)
    declaration = with_stored_head(declaration, model.checkpoint, model.tying)
    inventory, checkpoint, overlay = model.inventory, model.checkpoint, None
    if adapters:
        from weightscope.api.adapters import adapted

        declaration, checkpoint, overlay = adapted(model.reference, declaration, checkpoint, tuple(adapters))
    if declaration is not model.declaration and not declaration.contained:
        joined, inventory = join(declaration, checkpoint, model.config)
        declaration = joined or declaration
    return run_forward(declaration, checkpoint, inventory, request, overlay)


def _declared(model: Model) -> Declaration:
    """The declaration of a model that can be computed."""
    require_here(*(file.remote for file in model.checkpoint.files))
    if model.adapter is not None:
        raise UsageError(
            "an adapter alone computes nothing",
            where=model.reference,
            hint="run its base with it: weightscope forward MODEL --adapter DIR",
        )
    if model.declaration is None or model.declaration.part:
        why = f" ({model.notices[0].message.partition(':')[0]})" if model.notices else ""
        raise NotImplementedByWeightscope(f"forward does not support this model{why}", where=model.reference)
    if not model.checkpoint.files:
        raise UsageError("forward needs weights, and there are none here", where=model.reference)
    if adapter_weights(model.subject()):
        raise NotImplementedByWeightscope(
            "the LoRA adapter in these weights is not merged, and forward does not apply it",
            where=model.reference,
            hint="merge it first (PEFT's merge_and_unload)",
        )
    for finding in said(model, misshapen_tensors(model.subject())):
        raise CheckpointError(finding.message, where=model.reference, hint=finding.hint, code=finding.code)
    refuse_unread(model.declaration, model.inventory)
    return model.declaration
