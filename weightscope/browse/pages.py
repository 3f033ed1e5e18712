"""What the pane says of the model, of a node and of a tensor: the documents of the commands."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from weightscope.analyses.accounting import count_whole
from weightscope.api.model import Model
from weightscope.browse.branch_document import branch_document
from weightscope.browse.nodes import Listed, Node
from weightscope.output import words
from weightscope.output.document import Document
from weightscope.output.explanation import explanation_document
from weightscope.output.inspect import inspect_document


class Pages:
    """Of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._summary = model.summary()
        self._whole = count_whole(model.inventory, model.tying)

    def of_model(self) -> Document:
        """What `inspect` prints."""
        return inspect_document(self._summary, self._model.usual_state())

    def of_node(self, node: Node, children: Sequence[Node]) -> Document:
        """What lies below a node."""
        return branch_document(node, children, self._whole)

    def of_tensor(self, listed: Listed) -> Document:
        """What `explain` prints, and the tensor's bytes."""
        document = explanation_document(self._summary, self._model.explain(listed.row.name))
        if not listed.row.bytes:
            return document
        facts = list(document.facts)
        after = next((place + 1 for place, (label, _) in enumerate(facts) if label == "Stored"), len(facts))
        facts.insert(after, ("Bytes", words.size(listed.row.bytes)))
        return replace(document, facts=tuple(facts))
