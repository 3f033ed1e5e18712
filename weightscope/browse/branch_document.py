"""The document of a node that has others below it."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.analyses.accounting import share_of
from weightscope.browse.nodes import Node
from weightscope.output import words
from weightscope.output.columns import BYTES, SHARE
from weightscope.output.document import Cell, Column, Document, Table

PART, PARAMETERS = Column(title="Part", kind="name"), Column(title="Params", kind="amount")
# From so many characters on there is room for bytes.
ROOM = 60
# Rows of what lies below; the tree itself has all.
SHOWN = 100


def branch_document(title: str, node: Node, children: Sequence[Node], whole: int | None, width: int) -> Document:
    """What is below a node; `whole` are the parameters of the model."""
    amounts = node.amounts
    share = share_of(amounts.parameters, whole)
    counted = "not known" if amounts.parameters is None else words.count(amounts.parameters)
    return Document(
        data=None,
        title=title,
        subtitle=words.plural(amounts.tensors, "tensor"),
        facts=(
            ("Parameters", counted + (f"   {words.percent(share)} of all" if share else "")),
            *([("Bytes", words.size(amounts.bytes))] if amounts.bytes else []),
        ),
        table=branch_table(node, children, width),
        closing=f"and {len(children) - SHOWN:,} more" if len(children) > SHOWN else "",
    )


def branch_table(node: Node, children: Sequence[Node], width: int) -> Table:
    """A row for each node below, with its share of the node, and its bytes where there is room for them."""
    whole = node.amounts.parameters
    rows: list[tuple[Cell, ...]] = []
    for child in children[:SHOWN]:
        amounts = child.amounts
        size = (amounts.bytes or None,) if width >= ROOM else ()
        rows.append((child.label, amounts.parameters, *size, share_of(amounts.parameters, whole)))
    columns = (PART, PARAMETERS, *([BYTES] if width >= ROOM else []), SHARE)
    return Table(columns=columns, rows=tuple(rows), bars=True)
