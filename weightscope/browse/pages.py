"""What the pane says of the model, of a node and of a tensor: the documents of the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from weightscope.analyses.accounting import count_whole
from weightscope.api.model import Model
from weightscope.browse.branch_document import branch_document, branch_table
from weightscope.browse.nodes import Listed, Node
from weightscope.findings import Finding
from weightscope.output import words
from weightscope.output.document import Document
from weightscope.output.explanation import explanation_document
from weightscope.output.inspect import inspect_document

# What is said, for a width in characters.
Page = Callable[[int], Document]
# From so many on, the table of `inspect` with components and roles has room.
ROOM = 64


class Pages:
    """Of one model; `inspected` is what `inspect` prints of it, `findings` what is known so far to be wrong with it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._summary = model.summary()
        self._whole = count_whole(model.inventory, model.tying)
        self.findings: tuple[Finding, ...] = ()
        self.inspected = inspect_document(self._summary, model.usual_state())

    def of_model(self, node: Node, children: Sequence[Node]) -> Page:
        """What `inspect` prints; where there is little room, with what lies below the node as its table."""

        def page(width: int) -> Document:
            if width >= ROOM:
                return self.inspected
            return replace(self.inspected, table=branch_table(node, children, width))

        return page

    def of_node(self, path: Sequence[str], node: Node, children: Sequence[Node]) -> Page:
        """What lies below a node; `path` are its label and those above it."""
        title = " › ".join(path)
        return lambda width: branch_document(title, node, children, self._whole, width)

    def of_tensor(self, listed: Listed) -> Page:
        """What `explain` prints, the tensor's bytes, and the findings about it."""
        name = listed.row.name
        document = explanation_document(self._summary, self._model.explain(name))
        document = replace(document, findings=tuple(finding for finding in self.findings if name in finding.names))
        if listed.row.bytes:
            facts = list(document.facts)
            after = next((place + 1 for place, (label, _) in enumerate(facts) if label == "Stored"), len(facts))
            facts.insert(after, ("Bytes", words.size(listed.row.bytes)))
            document = replace(document, facts=tuple(facts))
        return lambda _: document
