"""MODELs that are here, and what those that were typed hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from weightscope.completion.offered import offered
from weightscope.completion.paths import paths
from weightscope.completion.segments import next_parts

if TYPE_CHECKING:
    from weightscope.api.model import Model


def models(begun: str) -> list[str]:
    """Paths, and models in the local Hugging Face cache."""
    found = paths(begun)
    # The rest of a path that exists can be nothing else.
    if found and "/" in begun:
        return found
    from weightscope.checkpoint.cached import cached_repos

    return sorted({*found, *offered(cached_repos(), begun)})


def tensor_names(typed: Sequence[str], begun: str) -> list[str]:
    """Names of tensors in the models that were typed, as far as the next dot."""
    return offered(next_parts((name for model in _opened(typed) for name in _names(model)), begun), begun)


def roles(typed: Sequence[str], begun: str) -> list[str]:
    """Roles in the models that were typed; where none was, or none can be read, all that there are."""
    from weightscope.roles import Role

    here = {role.value for model in _opened(typed) for group in model.inventory.groups for role in group.roles}
    return offered(here or (role.value for role in Role), begun)


def _names(model: Model) -> Iterable[str]:
    return model.checkpoint.names or (row.name for _, row in model.listing())


def _opened(typed: Sequence[str]) -> Iterator[Model]:
    """The models among the words that were typed, as far as they can be read here."""
    from weightscope.api.opening import open_model
    from weightscope.errors import WeightscopeError

    for text in typed:
        if "://" not in text:
            try:
                yield open_model(os.path.expanduser(text), tolerant=True)
            except (WeightscopeError, OSError):
                continue
