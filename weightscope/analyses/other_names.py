"""Other names of tensors: what GGUF's are called in transformers, and how those that are renamed are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.checkpoint.reader import Checkpoint
from weightscope.families.declaration import Declaration
from weightscope.ranges import expand, fill, holes, numbers_in, template_of

# Template of the inventory -> other templates, with the same numbers in the same places.
OtherNames = Mapping[str, tuple[str, ...]]


def other_names(declaration: Declaration | None, inventory: Inventory, checkpoint: Checkpoint) -> OtherNames:
    """The other templates for each of the inventory's; nothing for nearly all models."""
    if checkpoint.renaming is None and (declaration is None or not declaration.contained):
        return {}
    templates = {name: group.template for group in inventory.groups for name in group.names}
    # Layers of several kinds give the same template more than once.
    found: dict[str, dict[str, None]] = {}
    for template, other in (*_in_architecture(declaration, templates), *_as_stored(checkpoint, templates)):
        found.setdefault(template, {})[other] = None
    return {template: tuple(others) for template, others in found.items()}


def _in_architecture(declaration: Declaration | None, templates: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each kind of a container's tensors with the architecture's template."""
    for covered in declaration.covered if declaration and declaration.contained else ():
        numbers = tuple(indices[0] for indices in covered.ranges if indices)
        if len(numbers) == holes(covered.template):
            (first,) = expand(covered.template, [(number,) for number in numbers])
            for name in covered.scheme.parts(first):
                # What is numbered otherwise has no name of the same numbers.
                if name in templates and numbers_in(templates[name], name) == numbers:
                    yield templates[name], covered.template


def _as_stored(checkpoint: Checkpoint, templates: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each kind of tensors that are renamed, all of them alike, with the stored template."""
    kinds: Counter[tuple[str, str]] = Counter()
    for stored, name in checkpoint.renaming.names.items() if checkpoint.renaming else ():
        other, numbers = template_of(stored)
        if name in templates and numbers_in(templates[name], name) == numbers:
            kinds[templates[name], other] += 1
    sizes = Counter(templates.values())
    yield from (pair for pair, count in kinds.items() if count == sizes[pair[0]])


def names_that_fit(group: Group, others: OtherNames, fits: Callable[[str], bool]) -> list[str]:
    """The names of a group's tensors that fit, or of which another name does."""
    templates = others.get(group.template, ())
    if not templates:
        return [name for name in group.every_name if fits(name)]
    return [
        name
        for name, numbers in group.numbered()
        if fits(name) or any(fits(fill(template, [(number,) for number in numbers])) for template in templates)
    ]
