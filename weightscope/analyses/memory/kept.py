"""What a declaration keeps of a sequence, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.rules.subject import Subject
from weightscope.components.base import Component, Repeat
from weightscope.components.runnable import Runnable, runnable_in
from weightscope.components.state import State
from weightscope.errors import NotImplementedByWeightscope


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The states that `count` equal components called `part` keep, each of them all; `layers` are their numbers."""

    part: str
    states: tuple[State, ...]
    count: int
    layers: tuple[int, ...]
    auxiliary: bool


def kept_by(tree: Component, model_type: str) -> tuple[Kept, ...]:
    """What the part that writes keeps, in the order of the layers; nothing where a model only reads.

    Raises:
        NotImplementedByWeightscope: a layer whose decode state is not declared.
    """
    runnable = runnable_in(tree)
    if runnable is None:
        raise _undeclared(model_type)
    return () if runnable.writer is None else tuple(_below(runnable.writer, _Place(), model_type))


def runnable_of(subject: Subject) -> Runnable | None:
    """The model that is declared; None where none is."""
    return runnable_in(subject.declaration.tree) if subject.declaration else None


def keeps(part: Component, kind: str) -> bool:
    """Whether a component itself keeps a state of this kind."""
    return any(state.kind == kind for state in part.keeps() or ())


class _Place(msgspec.Struct, frozen=True):
    """How often what is here is there, in which layers, and whether the main model runs without it."""

    count: int = 1
    layers: tuple[int, ...] = ()
    auxiliary: bool = False


def _below(component: Component, place: _Place, model_type: str) -> Iterator[Kept]:
    if component.auxiliary:
        place = msgspec.structs.replace(place, auxiliary=True)
    if isinstance(component, Repeat):
        if not component.indices:
            return
        layers = place.layers or (tuple(component.indices) if component.of == "layer" else ())
        place = msgspec.structs.replace(place, count=place.count * len(component.indices), layers=layers)
        if component.of == "layer" and not any(_says(component.child)):
            raise _undeclared(model_type)
    if states := component.keeps():
        yield Kept(
            part=component.word, states=states, count=place.count, layers=place.layers, auxiliary=place.auxiliary
        )
    for child in component.children():
        yield from _below(child, place, model_type)


def _says(component: Component) -> Iterator[bool]:
    """Whether each component says what it keeps."""
    yield component.keeps() is not None
    for child in component.children():
        yield from _says(child)


def _undeclared(model_type: str) -> NotImplementedByWeightscope:
    return NotImplementedByWeightscope(f"the decode state of {model_type or 'this model'} is not declared")
