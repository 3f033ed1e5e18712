"""The shape of a model in one line, from its declaration: `32 layers · hidden 4,096 · 32 heads of 128 (8 kv) …`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weightscope.brief import plural
from weightscope.components.base import Component, Layers
from weightscope.components.walk import find
from weightscope.roles import Section


def describe(tree: Component) -> str | None:
    """Its layers, of an encoder-decoder those of both halves, then its towers; None where no part says anything."""
    parts = [*_layers(_main(tree))]
    towers: dict[Section, str] = {}
    for part in find(tree, Component):
        if part.section in (Section.VISION, Section.AUDIO) and part.glance:
            towers.setdefault(part.section, part.glance)
    parts += towers.values()
    return " · ".join(parts) or None


def _main(tree: Component) -> list[Layers]:
    """The first layers that tokens pass, and the other half where these are one of two."""
    found = [layers for part in find(tree, Component) if (layers := part.token_layers())]
    halves: dict[str, Layers] = {}
    for layers in found:
        if layers.half:
            halves.setdefault(layers.half, layers)
    return found[:1] if not found or not found[0].half else list(halves.values())


def _layers(stacks: Sequence[Layers]) -> Iterator[str]:
    counts: dict[str, int] = {}
    # Layers that share their weights are fewer than a pass has (ALBERT).
    stored = sum(len(repeat.indices) for stack in stacks for repeat in stack.blocks)
    for stack in stacks:
        yield plural(stack.depth, f"{stack.half} layer".lstrip())
        for repeat in stack.blocks:
            for glance in dict.fromkeys(_glances(repeat.child)):
                counts[glance] = counts.get(glance, 0) + len(repeat.indices)
    if stacks:
        yield f"hidden {stacks[0].width:,}"
        yield from (
            glance if count == stored else f"{glance} in {plural(count, 'layer')}" for glance, count in counts.items()
        )
        yield f"vocabulary {stacks[0].vocabulary:,}"


def _glances(component: Component) -> Iterator[str]:
    """What the parts of a layer say of themselves; a part that says something speaks for all below it."""
    if component.glance:
        yield component.glance
        return
    for child in component.children():
        yield from _glances(child)
