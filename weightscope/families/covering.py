"""Which weights of a declared model are quantized: what the config says of each module, and what the files hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.components.walk import Slot, walk
from weightscope.config import Config
from weightscope.families.declaration import Declaration, merged
from weightscope.quantization.common.method import Method, is_candidate, module_of
from weightscope.quantization.common.modules import Covered, Piece, split
from weightscope.quantization.registry import of_language_alone
from weightscope.roles import Section
from weightscope.storage.base import Scheme, Stored

if TYPE_CHECKING:
    from weightscope.quantization.common.evidence import Tensors

EYES = (Section.VISION, Section.PROJECTOR, Section.AUDIO)
OnDisk = tuple[tuple[Slot, ...], tuple[Covered, ...]]


def quantized(slots: Iterable[Slot], method: Method, config: Config) -> OnDisk:
    """The slots that stand for these on disk, and which weights are quantized, as the config says."""
    return _quantized(slots, lambda slot: _pieces(slot, method, config))


def settled(declaration: Declaration, tensors: Tensors, strays: Collection[str]) -> Declaration:
    """The declaration once the files had their say on which modules are quantized.

    `tensors` are the names of a checkpoint or its entries, `strays` those that the declaration does not have.
    """
    # Most quantized models are stored as their configs say.
    from weightscope.quantization.common.evidence import Evidence

    method = declaration.method
    evidence = Evidence(tensors, method, strays)

    def pieces(slot: Slot) -> Iterator[Piece]:
        for said, ranges in _pieces(slot, method, declaration.config):
            if is_candidate(slot.stored):
                yield from split(slot.template, ranges, partial(evidence.decide, slot.stored, said))
            else:
                yield said, ranges

    slots, covered = _quantized(walk(declaration.tree), pieces)
    return replace(declaration, slots=slots, covered=covered, mismatches=evidence.mismatches)


def is_beyond(config: Config, slot: Slot) -> bool:
    """Whether a slot is of eyes, and what the config says of quantization its language model's alone."""
    return slot.section in EYES and of_language_alone(config)


def _pieces(slot: Slot, method: Method | None, config: Config) -> tuple[Piece, ...]:
    """The slot's modules, apart by what the config says of each."""
    if method is None or not is_candidate(slot.stored) or is_beyond(config, slot):
        return ((None, slot.ranges),)
    module = module_of(slot.template)
    decide = partial(method.scheme, slot.stored)
    return split(module, slot.ranges, decide, deep=method.singles_out(module))


def _quantized(slots: Iterable[Slot], pieces_of: Callable[[Slot], Iterable[Piece]]) -> OnDisk:
    """The slots that stand for these on disk: modules that are stored otherwise become slots of their own."""
    found: list[Slot] = []
    covered: list[Covered] = []
    for slot in slots:
        for scheme, ranges in pieces_of(slot):
            part = slot if ranges == slot.ranges else replace(slot, ranges=ranges)
            if scheme is None:
                found.append(part)
                continue
            covered.append(Covered(template=slot.template, ranges=ranges, scheme=scheme))
            found += (_on_disk(part, stored, scheme) for stored in scheme.expand(slot.stored))
    return merged(found), tuple(covered)


def _on_disk(slot: Slot, stored: Stored, scheme: Scheme) -> Slot:
    return replace(slot, template=stored.name, stored=replace(stored, scheme=scheme))
