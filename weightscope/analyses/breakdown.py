"""The same parameters seen by component, role, layer, dtype or module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Literal

import msgspec

from weightscope.analyses.accounting import by_component, count_whole, counted, share_of
from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.dtypes import byte_size
from weightscope.checkpoint.entry import TensorEntry
from weightscope.ranges import before, fill, holes
from weightscope.roles import ROLE_ORDER, Role
from weightscope.storage.base import Kind

By = Literal["component", "role", "layer", "dtype", "quantization", "module"]
OUTSIDE = "outside layers"
PLAIN = "plain"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `weightscope params`.

    Attributes:
        name: what is counted, such as `attention` or `model.layers.{0–2}`.
        group: the stack that a layer belongs to; empty otherwise.
        tensors: how many.
        parameters: their weights; None without shapes.
        share: from 0 to 1, of all weights, auxiliary ones included.
        bytes: in the files.
        inferred: whether roles were guessed from names.
    """

    name: str
    group: str = ""
    tensors: int
    parameters: int | None
    share: float | None
    bytes: int
    inferred: bool = False


class _Sum:
    __slots__ = ("bytes", "parameters", "tensors", "unknown")

    def __init__(self) -> None:
        self.tensors = self.parameters = self.bytes = 0
        self.unknown = False

    def add(self, group: Group, tensors: int, parameters: int, bytes_: int) -> None:
        self.unknown = self.unknown or group.uncounted
        self.tensors += tensors
        self.parameters += parameters
        self.bytes += bytes_


def break_down(
    inventory: Inventory, tying: Tying, tensors: dict[str, TensorEntry], by: By, depth: int | None = None
) -> tuple[Row, ...]:
    """The rows of one view. Buffers are in none; `depth` cuts module paths to their first words."""
    total = count_whole(inventory, tying)
    views: dict[By, Callable[[], Iterator[Row]]] = {
        "component": lambda: _components(inventory, tying),
        "role": lambda: _roles(inventory, tying, total),
        "layer": lambda: _layers(inventory, tying, tensors, total),
        "dtype": lambda: _dtypes(inventory, tying, total),
        "quantization": lambda: _schemes(inventory, tying, total),
        "module": lambda: _modules(inventory, tying, total, depth),
    }
    return tuple(views[by]())


def _components(inventory: Inventory, tying: Tying) -> Iterator[Row]:
    for share in by_component(inventory, tying):
        yield Row(
            name=share.component,
            tensors=share.tensors,
            parameters=share.parameters,
            share=share.share,
            bytes=share.bytes,
            inferred=any(role.inferred for role in share.roles),
        )


def _roles(inventory: Inventory, tying: Tying, total: int | None) -> Iterator[Row]:
    sums: dict[Role, _Sum] = {}
    inferred: set[Role] = set()
    for group in _weights(inventory):
        bytes_of = dict(group.shares(group.bytes))
        for role, parameters in group.shares(counted(group, tying)):
            sums.setdefault(role, _Sum()).add(group, group.tensors, parameters, bytes_of[role])
            if group.inferred:
                inferred.add(role)
    for role in sorted(sums, key=ROLE_ORDER.__getitem__):
        yield _row(role, sums[role], total, inferred=role in inferred)


def _layers(inventory: Inventory, tying: Tying, tensors: dict[str, TensorEntry], total: int | None) -> Iterator[Row]:
    """Every layer of every stack, then all that is in none."""
    sums: dict[tuple[str, int], _Sum] = {}
    outside = _Sum()
    for group in _weights(inventory):
        place = group.layer_place
        if place is None:
            outside.add(group, group.tensors, counted(group, tying), group.bytes)
            continue
        stack = before(group.template).rstrip(".")
        for layer, *amounts in _per_layer(group, place, counted(group, tying), tensors):
            sums.setdefault((stack, layer), _Sum()).add(group, *amounts)
    for (stack, layer), row in sorted(sums.items(), key=lambda item: item[0]):
        yield _row(str(layer), row, total, group=stack)
    if outside.tensors:
        yield _row(OUTSIDE, outside, total)


def _per_layer(
    group: Group, place: int, parameters: int, tensors: dict[str, TensorEntry]
) -> Iterator[tuple[int, int, int, int]]:
    """(layer, tensors, parameters, bytes) of a group, whose ranges count layers at a place."""
    if len(group.counts) > 1:
        for name in group.names:
            entry = tensors[name]
            count = group.weights_in(entry.shape) if parameters else 0
            yield group.numbers_of(name)[place], 1, count, byte_size(entry.dtype, entry.shape)
        return
    layers = Counter(numbers[place] for _, numbers in group.numbered())
    for layer, count in layers.items():
        # All tensors of the group are alike, so the division is exact.
        yield layer, count, parameters * count // group.tensors, group.bytes * count // group.tensors


def _dtypes(inventory: Inventory, tying: Tying, total: int | None) -> Iterator[Row]:
    """By what is stored, most bytes first; parameters are the weights that the stored elements stand for."""
    sums: dict[str, _Sum] = {}
    for group in _weights(inventory):
        count = counted(group, tying)
        for (dtype, shape), tensors in group.counts.items():
            parameters = count * prod(shape) * tensors // max(group.elements, 1)
            size = 0 if group.alias or not dtype else byte_size(dtype, shape) * tensors
            sums.setdefault(dtype or "", _Sum()).add(group, tensors, parameters, size)
    for dtype, row in sorted(sums.items(), key=lambda item: (-item[1].bytes, item[0])):
        yield _row(dtype, row, total)


def _schemes(inventory: Inventory, tying: Tying, total: int | None) -> Iterator[Row]:
    """By how the weights are stored: each scheme with its scales, then plain weights."""
    sums: dict[str, _Sum] = {}
    for group in sorted(_weights(inventory), key=lambda group: group.scheme is None):
        name = group.scheme.words if group.scheme else PLAIN
        sums.setdefault(name, _Sum()).add(group, group.tensors, counted(group, tying), group.bytes)
    for name, row in sums.items():
        yield _row(name, row, total)


def _modules(inventory: Inventory, tying: Tying, total: int | None, depth: int | None) -> Iterator[Row]:
    """By the module that owns each tensor, in the order of the forward pass."""
    sums: dict[str, _Sum] = {}
    inferred: set[str] = set()
    for group in _weights(inventory):
        name = _module(group, depth)
        sums.setdefault(name, _Sum()).add(group, group.tensors, counted(group, tying), group.bytes)
        if group.inferred:
            inferred.add(name)
    for name, row in sums.items():
        yield _row(name, row, total, inferred=name in inferred)


def _module(group: Group, depth: int | None) -> str:
    words = group.template.split(".")[:-1] or group.template.split(".")
    words = words[:depth] if depth else words
    template = ".".join(words)
    return fill(template, group.ranges[: holes(template)])


def _weights(inventory: Inventory) -> Iterable[Group]:
    return (group for group in inventory.counted if group.kind is not Kind.BUFFER)


def _row(name: str, sums: _Sum, total: int | None, *, group: str = "", inferred: bool = False) -> Row:
    return Row(
        name=name,
        group=group,
        tensors=sums.tensors,
        parameters=None if sums.unknown else sums.parameters,
        share=share_of(None if sums.unknown else sums.parameters, total),
        bytes=sums.bytes,
        inferred=inferred,
    )
