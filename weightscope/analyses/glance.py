"""What headers alone tell at a glance: the rules of `check` that `inspect` applies as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from weightscope.analyses.rules.heads import strange_head
from weightscope.analyses.rules.index import wrong_totals
from weightscope.analyses.rules.names import missing_tensors, unexpected_tensors, unrelated_weights
from weightscope.analyses.rules.prefixes import strange_prefixes
from weightscope.analyses.rules.quantization import strange_quantization
from weightscope.analyses.rules.sets import other_weights
from weightscope.analyses.rules.shapes import misshapen_tensors
from weightscope.analyses.rules.subject import Subject
from weightscope.findings import Finding

Rule = Callable[[Subject], Iterator[Finding]]

GLANCE: tuple[Rule, ...] = (
    other_weights,
    strange_prefixes,
    unrelated_weights,
    missing_tensors,
    unexpected_tensors,
    misshapen_tensors,
    strange_quantization,
    strange_head,
    wrong_totals,
)


def glance(subject: Subject) -> tuple[Finding, ...]:
    """What `inspect` says is wrong."""
    return tuple(finding for rule in GLANCE for finding in rule(subject))
