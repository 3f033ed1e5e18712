"""The document of a node that has others below it."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.analyses.accounting import share_of
from weightscope.browse.nodes import Node
from weightscope.output import words
from weightscope.output.columns import BYTES, PARAMETERS
from weightscope.output.document import Column, Document, Table

PART, OF_THIS = Column(title="Part", kind="name"), Column(title="Of this", kind="share")
# Rows of what lies below; the tree itself has all.
SHOWN = 100


def branch_document(node: Node, children: Sequence[Node], whole: int | None) -> Document:
    """What is below a node, with bars for shares of it; `whole` are the parameters of the model."""
    amounts = node.amounts
    share = share_of(amounts.parameters, whole)
    counted = "not known" if amounts.parameters is None else words.count(amounts.parameters)
    rows = [
        (
            child.label,
            child.amounts.parameters,
            child.amounts.bytes or None,
            share_of(child.amounts.parameters, amounts.parameters),
        )
        for child in children[:SHOWN]
    ]
    return Document(
        data=None,
        title=node.label,
        subtitle=words.plural(amounts.tensors, "tensor"),
        facts=(
            ("Parameters", counted + (f"   {words.percent(share)} of all" if share else "")),
            *([("Bytes", words.size(amounts.bytes))] if amounts.bytes else []),
        ),
        table=Table(columns=(PART, PARAMETERS, BYTES, OF_THIS), rows=tuple(rows), bars=True),
        closing=f"and {len(children) - SHOWN:,} more" if len(children) > SHOWN else "",
    )
