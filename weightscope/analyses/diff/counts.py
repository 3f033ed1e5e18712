"""How many parameters both sides of a comparison have, by component."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.accounting import ComponentShare, Parameters
from weightscope.analyses.diff.result import ComponentDiff


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of one side; None where nothing tells them."""

    total: int | None
    auxiliary: int | None
    components: dict[str, int | None]

    @classmethod
    def of(cls, parameters: Parameters, components: tuple[ComponentShare, ...]) -> Counts:
        """From what a model says of itself."""
        return cls(
            total=parameters.total,
            auxiliary=parameters.auxiliary,
            components={share.component: share.parameters for share in components},
        )


def compare_counts(a: Counts, b: Counts) -> Iterator[ComponentDiff]:
    """A row for each component of either; a side that lacks it has none of its parameters."""
    for component in dict.fromkeys((*a.components, *b.components)):
        yield ComponentDiff(component=component, a=a.components.get(component, 0), b=b.components.get(component, 0))
