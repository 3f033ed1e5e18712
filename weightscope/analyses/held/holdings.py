"""The weights of a model under addresses that say role and layer, each with how to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from weightscope.analyses.held.places import Place, places
from weightscope.checkpoint.dtypes import BLOCKS, FLOATS
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.base import Component
from weightscope.components.feed_forward.experts import StackedExperts
from weightscope.components.walk import WHOLE
from weightscope.errors import CheckpointError
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.marks import is_activation
from weightscope.roles import Role
from weightscope.storage.adapted import Adapted
from weightscope.storage.base import BOUNDS_END, Kind, Scheme, Sizes, StorageItem, Stored
from weightscope.storage.plain import Buffer
from weightscope.storage.stacked import Rows, Stacked
from weightscope.storage.weight_normed import WeightNormed

if TYPE_CHECKING:
    import torch


class Reading(Rows, Protocol):
    """A scope that gives whole tensors and rows of them."""

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor in its stored layout."""
        ...

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds it."""
        ...


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One role's weight, or bias, at one place.

    `address` is `layers.3.attention.q_proj`: the stack of layers, the layer, the component, the role. `key` is what the
    storage item calls it, `shape` as it is used, a matrix (out, in). `names` are the tensors that it lies in, `dtype`
    the stored one, or how it is quantized. `before` is the tensor's name before quantization; `scheme` is set where it
    is more than the tensors taken apart. `direct` is the tensor that holds it, and nothing else, as it is used; empty
    where there is none. `owner` is the component that uses it. A `combined` one is computed from several tensors of
    floats: a length and a direction, a matrix and a LoRA.
    """

    address: str
    key: str
    role: str
    section: str
    layer: int | None
    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    before: str = ""
    scheme: Scheme | None = None
    direct: str = ""
    owner: Component | None = None
    combined: bool = False

    @property
    def is_quantized(self) -> bool:
        """Whether it is stored as something else than floats."""
        return self.scheme is not None and self.dtype not in FLOATS

    @property
    def is_as_stored(self) -> bool:
        """Whether its tensors are more than its numbers in another order, and are digested one by one."""
        return self.scheme is not None or self.combined

    @property
    def is_taken_apart(self) -> bool:
        """Whether it is a part of a tensor, or a tensor in another order, and has to be read to be digested."""
        return not self.direct and not self.is_as_stored

    @property
    def is_activation_scale(self) -> bool:
        """Whether it is no weight, but a scale of activations or of a cache."""
        return not self.role and is_activation(self.names[0])


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What is read at once: the roles of one storage item at one place, of stacked experts those of one."""

    held: tuple[Held, ...]
    item: StorageItem | None = None
    prefix: str = ""
    sizes: Sizes = {}
    expert: int | None = None

    def read(self, scope: Reading) -> Mapping[str, torch.Tensor]:
        """Each weight under its key, as it is used.

        Raises:
            CheckpointError: `shape-mismatch`; what is stored cannot be taken apart into its roles.
        """
        try:
            return self._read(scope)
        except (RuntimeError, ValueError):
            raise CheckpointError(
                "does not have the shape that its roles need",
                where=self.held[0].names[0],
                hint="`weightscope check` says which shapes do not fit the config",
                code="shape-mismatch",
            ) from None

    def _read(self, scope: Reading) -> Mapping[str, torch.Tensor]:
        if self.item is None:
            (held,) = self.held
            return {held.key: scope.tensor(held.names[0])}
        if self.expert is not None and isinstance(self.item, Stacked):
            return self.item.read_one(self.prefix, self.sizes, scope, self.expert)
        return self.item.read(self.prefix, self.sizes, scope)


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """All units of a model, and the required tensors that are in no file."""

    units: tuple[Unit, ...]
    missing: tuple[str, ...] = ()

    @property
    def by_address(self) -> dict[str, Held]:
        """Each weight."""
        return {held.address: held for unit in self.units for held in unit.held}

    def by_file(self, checkpoint: Checkpoint) -> list[Unit]:
        """The units in the order in which the files have them, so that each file is read from start to end."""

        def place(unit: Unit) -> tuple[int, int]:
            entries = [checkpoint.tensors[name] for name in unit.held[0].names if name in checkpoint.tensors]
            return min(((entry.file, entry.data_offsets[0]) for entry in entries), default=(0, 0))

        return sorted(self.units, key=place)


def take_holdings(checkpoint: Checkpoint, declaration: Declaration | None, *, without_head: bool = False) -> Holdings:
    """What a checkpoint holds, or where there are no files what the config says that it should.

    `without_head` leaves out a head that is the token embedding again. Tensors that no declaration explains have their
    names as addresses.
    """
    units: list[Unit] = []
    missing: list[str] = []
    explained: set[str] = set()
    addresses = _Addresses()
    for place in places(declaration.tree) if declaration else ():
        sizes = place.component.sizes()
        for item in place.component.stored:
            found = [_Found.of(stored, checkpoint, declaration) for stored in item.tensors(place.prefix, sizes)]
            explained.update(name for one in found for name in one.names)
            if place.copied or _is_unused(item):
                continue
            # The bias of a tied head is its own.
            left_out = (Kind.COPY, Kind.WEIGHT) if without_head and Role.LM_HEAD in item.roles else (Kind.COPY,)
            weights = [one for one in found if one.stored.kind not in left_out]
            missing += [one.stored.name for one in weights if not one.is_there and not one.stored.optional]
            if there := [one for one in weights if one.is_there]:
                units += _units(place, item, sizes, there, addresses)
    units += [_alone(name, checkpoint) for name in checkpoint.tensors if name not in explained]
    return Holdings(units=tuple(units), missing=tuple(missing))


def _is_unused(item: StorageItem) -> bool:
    """Whether no pass reads it: tables and masks that old checkpoints carry are computed."""
    return isinstance(item, Buffer) and not item.acts


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A declared tensor and what stands for it: itself, or the tensors of its scheme."""

    stored: Stored
    scheme: Scheme | None
    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    is_there: bool

    @classmethod
    def of(cls, stored: Stored, checkpoint: Checkpoint, declaration: Declaration | None) -> _Found:
        """From the files; without any, as declared."""
        scheme = declaration.schemes.of(stored.name) if declaration else None
        names = scheme.parts(stored.name) if scheme else (stored.name,)
        entry = checkpoint.tensors.get(names[0])
        declared = tuple(map(int, stored.shape))
        return cls(
            stored=stored,
            scheme=scheme,
            names=names,
            dtype=_dtype(scheme, entry),
            shape=entry.shape if entry and not scheme else declared,
            is_there=entry is not None or (not checkpoint.files and not stored.optional),
        )


def _dtype(scheme: Scheme | None, entry: TensorEntry | None) -> str:
    """The stored one; of a weight that is not stored as floats or in GGUF's blocks, the words of its scheme."""
    if entry is not None and entry.dtype in BLOCKS:
        return entry.dtype
    # bitsandbytes may keep its packed bytes in a tensor of floats.
    if scheme is not None and (entry is None or entry.dtype not in FLOATS or scheme.packing):
        return scheme.words
    return entry.dtype if entry else ""


class _Addresses:
    """Addresses, each given once. Further stacks of layers have a number; what is there twice has a 2 at its end."""

    def __init__(self) -> None:
        self._stacks: dict[str, dict[str, str]] = {}
        self._given: Counter[str] = Counter()

    def of(self, place: Place, role: Role, numbers: tuple[int, ...], end: str) -> str:
        """`layers.3.moe.5.down_proj`, `vision.layers.0.q_proj`, `embedding.token_embedding`."""
        section = place.section_of(role)
        parts: tuple[object, ...] = (section, *numbers)
        if place.layer is not None:
            whole = f"{section}." if section in WHOLE else ""
            stacks = self._stacks.setdefault(whole, {})
            number = len(stacks) + 1
            stack = stacks.setdefault(place.stack, f"{whole}layers{number if number > 1 else ''}")
            parts = (stack, place.layer, *(numbers if whole else parts))
        address = ".".join(map(str, (*parts, f"{role}{end}")))
        self._given[address] += 1
        return address if self._given[address] == 1 else f"{address}.{self._given[address]}"


def _units(
    place: Place, item: StorageItem, sizes: Sizes, found: Sequence[_Found], addresses: _Addresses
) -> Iterator[Unit]:
    """One, or of stacked experts one each."""
    by_key: dict[tuple[Role, str], list[_Found]] = {}
    for one in found:
        for role, _ in one.stored.parts:
            by_key.setdefault(_key(one, role, item), []).append(one)
    stacked = isinstance(item, Stacked)
    first_number = place.component.first if isinstance(place.component, StackedExperts) else 0
    is_plain = not stacked and not item.layout(sizes)
    for expert in range(int(sizes[item.roles[0]][0])) if stacked else (None,):
        held = []
        numbers = place.numbers if expert is None else (*place.numbers, first_number + expert)
        for (role, end), of_role in by_key.items():
            first, shape = of_role[0], _shape(role, end, of_role, sizes, stacked=stacked)
            alone = is_plain and len(of_role) == 1 and len(first.stored.parts) == 1 and first.scheme is None
            direct = alone and first.shape == tuple(map(int, first.stored.shape))
            held.append(
                Held(
                    address=addresses.of(place, role, numbers, end),
                    key=f"{role}{end}",
                    role=str(role),
                    section=str(place.section_of(role)),
                    layer=place.layer,
                    names=tuple(name for one in of_role for name in one.names),
                    dtype=first.dtype,
                    shape=first.shape if direct else shape,
                    before=first.stored.name,
                    scheme=first.scheme,
                    direct=first.names[0] if direct else "",
                    owner=place.component,
                    combined=isinstance(item, Adapted | WeightNormed) and not end,
                )
            )
        yield Unit(held=tuple(held), item=item, prefix=place.prefix, sizes=sizes, expert=expert)


def _key(one: _Found, role: Role, item: StorageItem) -> tuple[Role, str]:
    """The role that a tensor belongs to, and the end of its name: bounds are of the matrix that they lie beside."""
    if role is Role.CLIP_BOUND:
        return item.roles[0], BOUNDS_END
    return role, ".bias" if one.stored.kind is Kind.BIAS else ""


def _shape(role: Role, end: str, found: Sequence[_Found], sizes: Sizes, *, stacked: bool) -> tuple[int, ...]:
    """As it is used: of an expert without the first dimension, of a bias without the last, of bounds their number."""
    if end == BOUNDS_END:
        return (len(found),)
    if role not in sizes:
        # The sizes are those of weights: a buffer has its own shape.
        return found[0].shape
    shape = tuple(map(int, sizes[role][1:] if stacked else sizes[role]))
    return shape[:1] if end else shape


def _alone(name: str, checkpoint: Checkpoint) -> Unit:
    entry = checkpoint.tensors[name]
    held = Held(
        address=name,
        key=name,
        role="",
        section="",
        layer=None,
        names=(name,),
        dtype=entry.dtype,
        shape=entry.shape,
        direct=name,
    )
    return Unit(held=(held,))
