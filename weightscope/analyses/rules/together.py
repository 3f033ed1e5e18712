"""Wrong shapes that have one cause: empty and flat tensors, pruned widths, a layer of another model."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from weightscope.analyses.rules.subject import some
from weightscope.analyses.rules.truths import Wrong
from weightscope.findings import Finding
from weightscope.ranges import summed
from weightscope.sizes import Shape

GATHERED = "saved before the weights were gathered: save again from all processes, or convert the training checkpoint"
PRUNED = "config.json has one width for all layers: load the model with the tool that pruned it"
OTHER_LAYER = "the other layers fit; this one is from another model, and no change of config.json makes both fit"
# A layer of this many kinds of tensors that are all wrong is wrong as a whole.
WHOLE = 3


def tell_together(wrong: list[Wrong]) -> Iterator[tuple[Finding, list[Wrong]]]:
    """A finding for each cause, and what it explains."""
    empty = [item for item in wrong if not prod(item.shape) and all(item.group.shape or ())]
    if empty:
        yield _finding(empty, f"{_are(empty)} empty: {_first(empty)}", f"{GATHERED} (ZeRO-3)"), empty
    flat = [item for item in wrong if item not in empty and len(item.shape) == 1 < len(item.group.shape or ())]
    if flat:
        yield _finding(flat, f"{_are(flat)} flattened: {_first(flat)}", f"{GATHERED} (FSDP)"), flat
    rest = [item for item in wrong if item not in empty and item not in flat]
    if rest and _is_pruned(rest):
        message = f"the layers have different widths, as after structured pruning: {_first(rest, 3)}"
        yield _finding(rest, message, PRUNED), rest
    elif layer := _one_layer(rest):
        message = f"layer {layer[0]} has different sizes than all other layers: {_first(rest, 2)}"
        yield _finding(rest, message, OTHER_LAYER), rest


def _is_pruned(wrong: list[Wrong]) -> bool:
    """Whether several kinds of tensors are narrower than the config says, by other numbers in other layers."""
    # Layers of another kind may have other widths by the config.
    shapes: dict[tuple[str, Shape], set[tuple[int, ...]]] = {}
    for item in wrong:
        expected = item.group.shape or ()
        shapes.setdefault((item.group.template, expected), set()).add(item.shape)
        if len(item.shape) != len(expected) or any(
            size > most for size, most in zip(item.shape, expected, strict=True)
        ):
            return False
    return len(shapes) > 1 and all(len(found) > 1 for found in shapes.values())


def _one_layer(wrong: list[Wrong]) -> tuple[int] | None:
    """The number of the one layer that all of them are of, where the same tensors of other layers are right."""
    layers = {item.group.layer_of(name) for item in wrong for name in item.names}
    partly = all(len(item.names) < item.group.tensors for item in wrong)
    layer = next(iter(layers)) if len(layers) == 1 else None
    return (layer,) if layer is not None and partly and len(wrong) >= WHOLE else None


def _names(wrong: list[Wrong]) -> list[str]:
    return [name for item in wrong for name in item.names]


def _are(wrong: list[Wrong]) -> str:
    names = _names(wrong)
    return f"{some(names)} {'is' if len(names) == 1 else 'are'}"


def _first(wrong: list[Wrong], most: int = 1) -> str:
    said = [
        f"{summed(item.names)[0]} is {list(item.shape)}, but config.json gives {list(map(int, item.group.shape or ()))}"
        for item in wrong[:most]
    ]
    return "; ".join(said)


def _finding(wrong: list[Wrong], message: str, hint: str) -> Finding:
    first = wrong[0]
    return Finding(
        code="shape-mismatch",
        severity="error",
        message=message,
        tensors=tuple(summed(_names(wrong))),
        expected=[int(size) for size in first.group.shape or ()],
        actual=list(first.shape),
        config=tuple(dict.fromkeys(key for item in wrong for size in item.group.shape or () for key in size.keys)),
        hint=hint,
    )
