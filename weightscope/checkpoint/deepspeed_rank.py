"""The tensors of one rank among those that split a model, from its data-parallel ranks' parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import NoReturn

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.checkpoint.entry import Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.pieces import fill
from weightscope.checkpoint.pytorch_objects import MAX_DIMENSIONS, MAX_SIZE, StoredTensor
from weightscope.checkpoint.pytorch_opened import Opened
from weightscope.checkpoint.ranks import AGAIN, MAX_RANKS
from weightscope.checkpoint.zero import ABSENT, Cut, Shapes, by_group, by_parameter
from weightscope.errors import CheckpointError, Where

STATE = "optimizer_state_dict"
# What the flat vectors are called: in stages 1 and 2, in stage 3.
BY_GROUP, BY_PARAMETER = "single_partition_of_fp32_groups", "fp32_flat_groups"


class OfRank(msgspec.Struct, frozen=True, kw_only=True):
    """The tensors of a rank, what of its parameters could not be had, and how many data-parallel ranks saved it."""

    tensors: dict[str, TensorEntry]
    left: list[str] = []
    spare: int = 0
    world: int | None = None
    missing: int = 0


def module_of(file: Opened) -> dict[str, TensorEntry]:
    """The module's tensors, in 16 bits where it is trained so."""
    return dict(tensors_of(file, file.top.get("module")))


def tensors_of(file: Opened, mapping: object) -> Iterator[tuple[str, TensorEntry]]:
    """The tensors of a mapping by name."""
    for name, tensor in mapping.items() if isinstance(mapping, dict) else ():
        if isinstance(name, str) and isinstance(tensor, StoredTensor):
            yield name, file.entry(name, tensor)


def state_of(rank: Opened) -> dict[object, object]:
    """The state of ZeRO's optimizer in a file."""
    state = rank.top.get(STATE)
    return state if isinstance(state, dict) else {}


def read_rank(models: list[Opened], optimizers: dict[int, Opened]) -> OfRank:
    """The tensors in the files of a rank: the module's, and the optimizers' states by data-parallel rank.

    Raises:
        CheckpointError: a file says nothing of its parameters.
    """
    first = models[0]
    module = module_of(first)
    if not optimizers and "param_shapes" not in first.top:
        return OfRank(tensors=module)
    where = first.header.where
    world = _world(optimizers.values(), where)
    some = next(iter(optimizers.values()))
    everyone = [_vectors(optimizers.get(rank, some), here=rank in optimizers) for rank in range(world)]
    shapes = _shapes(first.top.get("param_shapes"), where)
    if by_runs(optimizers.values()):
        cut, untrained = by_parameter(shapes, everyone), _untrained(module, models)
    else:
        cut, untrained = by_group(shapes, everyone, _paddings(optimizers.values())), module
    return OfRank(
        tensors=_in_order(first, cut, untrained, shapes), left=cut.left, spare=cut.spare, world=world,
        missing=world - len(optimizers),
    )  # fmt: skip


def by_runs(optimizers: Iterable[Opened]) -> bool:
    """Whether each data-parallel rank has a run of each parameter: stage 3."""
    return any(BY_PARAMETER in state_of(rank) for rank in optimizers)


def _world(ranks: Iterable[Opened], where: Where) -> int:
    """How many ranks saved: the optimizers' states say so, or there are as many as files."""
    counts = [state_of(rank).get("partition_count") for rank in ranks]
    told = [count for each in counts for count in (each if isinstance(each, list) else [each]) if type(count) is int]
    world = max(told, default=len(counts))
    if not 0 < world <= MAX_RANKS or not counts:
        _malformed("has no optimizer state beside it that says how many ranks saved", where)
    return max(world, len(counts))


def _vectors(rank: Opened, *, here: bool) -> list[TensorEntry]:
    """The flat vectors of a rank; those of one that is not here are as long as another's."""
    state = state_of(rank)
    listed = state.get(BY_PARAMETER, state.get(BY_GROUP))
    if not isinstance(listed, list) or not all(isinstance(vector, StoredTensor) for vector in listed):
        _malformed("has no flat vectors of float32 weights: was it saved by ZeRO?", rank.header.where)
    vectors = [rank.entry(BY_GROUP, vector) for vector in listed]
    if any(len(vector.shape) != 1 or vector.strides is not None or vector.dtype != "F32" for vector in vectors):
        _malformed("has flat vectors that are none of float32", rank.header.where)
    for vector in vectors:
        vector.file = vector.file if here else ABSENT
    return vectors


def _shapes(listed: object, where: Where) -> list[Shapes]:
    """The shapes of a group's parameters, in the order in which they were flattened."""
    if not isinstance(listed, list) or not all(isinstance(group, dict) for group in listed):
        _malformed("has no param_shapes, which say how the flat vectors are cut", where)
    return [dict(_sized(group, where)) for group in listed]


def _sized(group: dict[object, object], where: Where) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, shape in group.items():
        sizes = shape if isinstance(shape, tuple) and len(shape) <= MAX_DIMENSIONS else (None,)
        if not isinstance(name, str) or not all(type(size) is int and 0 <= size < MAX_SIZE for size in sizes):
            _malformed("gives a parameter a shape that is none", where)
        if prod(sizes) >= MAX_SIZE:
            _malformed(f"gives {name[:200]!r} a size that no tensor has", where)
        yield name, sizes


def _paddings(ranks: Iterable[Opened]) -> list[list[int]]:
    """The elements that lie behind each parameter of a group, where DeepSpeed aligned them."""
    listed = next(iter([state_of(rank).get("param_alignment_paddings") for rank in ranks]), None)
    groups = listed if isinstance(listed, list) else []
    known = [group for group in groups if isinstance(group, list)]
    return [[pad if type(pad) is int and pad >= 0 else 0 for pad in group] for group in known]


def _untrained(module: dict[str, TensorEntry], files: list[Opened]) -> dict[str, TensorEntry]:
    """Of stage 3: the buffers, which are whole, and what is frozen, of which each rank has a run."""
    first = files[0]
    buffers = first.top.get("buffer_names")
    found = {name: module[name] for name in buffers if name in module} if isinstance(buffers, list) else {}
    shapes = first.top.get("frozen_param_shapes")
    runs = [dict(tensors_of(file, file.top.get("frozen_param_fragments"))) for file in files]
    for name, shape in _sized(shapes, first.header.where) if isinstance(shapes, dict) else ():
        own = [each[name] for each in runs if name in each]
        pieces = tuple(_end_to_end(own, prod(shape)))
        if pieces and fill(shape, pieces):
            found[name] = PiecedEntry.of(own[0].dtype, shape, pieces)
    return found


def _end_to_end(runs: Iterable[TensorEntry], count: int) -> Iterator[Piece]:
    """The first `count` elements of these runs, which lie one behind the other in the flattened tensor."""
    at = 0
    for run in runs:
        length = min(prod(run.shape), count - at)
        start = run.data_offsets[0]
        yield Piece((at,), (length,), run.file, (start, start + length * DTYPE_BITS[run.dtype] // 8))
        at += length


def _in_order(
    first: Opened, cut: Cut, untrained: dict[str, TensorEntry], groups: list[Shapes]
) -> dict[str, TensorEntry]:
    """All tensors in the module's order; a weight that shares another's storage is that other, and not repeated."""
    module, shared = first.top.get("module"), first.top.get("shared_params")
    trained = {name for shapes in groups for name in shapes}
    again = set(shared) if isinstance(shared, dict) else set()
    names = [name for name in module if isinstance(name, str)] if isinstance(module, dict) else []
    order = dict.fromkeys([*names, *cut.tensors])
    known = {name: entry for name, entry in untrained.items() if name not in trained} | cut.tensors
    return {name: known[name] for name in order if name in known and name not in again}


def _malformed(what: str, where: Where) -> NoReturn:
    raise CheckpointError(what, where=where, hint=AGAIN, code="malformed-header")
