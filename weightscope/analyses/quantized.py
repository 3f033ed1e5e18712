"""How the weights are quantized: each scheme with its weights and bits, and the matrices that stayed plain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.components.walk import Slot
from weightscope.families.covering import is_beyond
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.method import Method, is_candidate, module_of
from weightscope.ranges import fill
from weightscope.storage.base import Kind


class SchemeShare(msgspec.Struct, frozen=True, kw_only=True):
    """The weights of one scheme. Bits are those on disk for each parameter; None where nothing is stored."""

    scheme: str
    method: str
    tensors: int
    parameters: int
    bytes: int
    scale_bytes: int
    bits_per_parameter: float | None
    bits_without_scales: float | None


class PlainShare(msgspec.Struct, frozen=True, kw_only=True):
    """Matrices of one kind that are not quantized; `declared` is whether the settings say so, None without settings."""

    tensors: str
    role: str
    parameters: int
    declared: bool | None


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """`method` is what the settings name, None where no file has settings; `source` is that file."""

    method: str | None
    source: str | None
    schemes: tuple[SchemeShare, ...]
    plain: tuple[PlainShare, ...]


def quantization_of(declaration: Declaration | None, inventory: Inventory) -> Quantization:
    """What the settings name, and what is stored."""
    method = declaration.method if declaration else None
    return Quantization(
        method=method.name if method else None,
        source=(declaration.settings_file or "config.json") if declaration and method else None,
        schemes=tuple(_schemes(inventory.groups)),
        plain=tuple(_plain(declaration, method)) if declaration else (),
    )


def _schemes(groups: Iterable[Group]) -> Iterator[SchemeShare]:
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        if group.scheme is not None and not group.alias:
            found.setdefault((group.scheme.name, group.scheme.words), []).append(group)
    for (name, words), members in found.items():
        weights = [group for group in members if group.kind is not Kind.SCALE]
        parameters = sum(group.parameters for group in weights)
        packed = sum(group.bytes for group in weights)
        scales = sum(group.bytes for group in members) - packed
        yield SchemeShare(
            scheme=words,
            method=name,
            tensors=sum(group.tensors for group in weights),
            parameters=parameters,
            bytes=packed,
            scale_bytes=scales,
            bits_per_parameter=_bits(packed + scales, parameters),
            bits_without_scales=_bits(packed, parameters),
        )


def _bits(size: int, parameters: int) -> float | None:
    return round(size * 8 / parameters, 4) if size and parameters else None


def _plain(declaration: Declaration, method: Method | None) -> Iterator[PlainShare]:
    """Every matrix that a method could have quantized and none did, in the order of the forward pass."""
    for slot in declaration.slots:
        stored = slot.stored
        if stored.scheme is not None or not is_candidate(stored) or stored.optional:
            continue
        yield PlainShare(
            tensors=fill(slot.template, slot.ranges),
            role=stored.parts[0][0],
            parameters=stored.logical * slot.count,
            declared=_is_left_out(declaration, method, slot) if method and not method.missing else None,
        )


def _is_left_out(declaration: Declaration, method: Method, slot: Slot) -> bool | None:
    """Whether the settings leave the module plain; None for a method whose writers do so without a word."""
    plain = is_beyond(declaration.config, slot) or method.scheme(slot.stored, module_of(slot.first_name())) is None
    if plain:
        return True
    return None if method.silent else False
