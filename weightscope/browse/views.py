"""The two trees of a model: by component, role and layer, and by name."""

from __future__ import annotations

from functools import cached_property, partial

from weightscope.api.model import Model
from weightscope.browse.by_name import modules
from weightscope.browse.by_role import ByRole
from weightscope.browse.nodes import Listed, Node, above
from weightscope.output.facts import title


class Views:
    """Roots are made once; the first look by name makes the rows of all tensors."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @cached_property
    def by_role(self) -> Node:
        """Components at the top; made from groups."""
        model = self._model
        made = ByRole(model.inventory, model.checkpoint, model.tying)
        return above(title(model.summary()), made.components())

    @cached_property
    def by_name(self) -> Node:
        """The first parts of all names at the top."""
        rows = [Listed(group, row) for group, row in self._model.listing()]
        names = {listed.row.name for listed in rows}
        return Node(
            label=self.by_role.label,
            amounts=self.by_role.amounts,
            children=partial(modules, rows),
            holds=names.__contains__,
        )
