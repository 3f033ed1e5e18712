"""Ask a model for all that its report says."""

from __future__ import annotations

from weightscope.analyses.checking import Policy
from weightscope.analyses.memory.report import Memory
from weightscope.api.memory import asked
from weightscope.api.model import Model
from weightscope.errors import WeightscopeError
from weightscope.output.report.contents import Contents


def take(model: Model) -> Contents:
    """The contents; what does not apply to the model has a reason in its place."""
    findings, rules = model.examine()
    checked = Policy().verdict(model.reference, findings, tensors=len(model.checkpoint.names), rules=rules)
    memory, no_memory = _memory(model)
    return Contents(model=model, summary=model.summary(), checked=checked, memory=memory, no_memory=no_memory)


def _memory(model: Model) -> tuple[Memory | None, str]:
    try:
        return model.memory_for(asked()), ""
    except WeightscopeError as error:
        return None, f"Not known: {error}"
