"""What a container's tensors are called where the architecture is at home: GGUF's `blk.0.attn_q` in transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.families.registry import Declaration
from weightscope.ranges import expand, fill, holes, numbers_in

# Template of the file -> those of the architecture, with the same numbers in the same places.
OtherNames = Mapping[str, tuple[str, ...]]


def other_names(declaration: Declaration | None, inventory: Inventory) -> OtherNames:
    """The architecture's templates for each of the file's; nothing where the file has the architecture's own names."""
    if declaration is None or not declaration.contained:
        return {}
    templates = {name: group.template for group in inventory.groups for name in group.names}
    found: dict[str, dict[str, None]] = {}
    for covered in declaration.covered:
        numbers = tuple(indices[0] for indices in covered.ranges if indices)
        if len(numbers) != holes(covered.template):
            continue
        (first,) = expand(covered.template, [(number,) for number in numbers])
        for part in covered.scheme.parts(first):
            template = templates.get(part)
            # What is numbered otherwise in the file has no name of the same numbers.
            if template is not None and numbers_in(template, part) == numbers:
                found.setdefault(template, {})[covered.template] = None
    return {template: tuple(others) for template, others in found.items()}


def spelled(group: Group, others: OtherNames) -> Iterator[tuple[str, ...]]:
    """Each tensor's name in the file, and behind it what it is called elsewhere."""
    templates = others.get(group.template, ())
    if not templates:
        return ((name,) for name in group.every_name)
    return (
        (name, *(fill(template, [(number,) for number in numbers]) for template in templates))
        for name, numbers in group.numbered()
    )
