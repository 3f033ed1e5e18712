"""DeepSpeed's ZeRO checkpoints: each rank's part of the float32 weights, and one file that says whose they are.

The layout is that of DeepSpeed 0.4 to 0.19, as its own `zero_to_fp32.py` reads it. Weights that are not trained, and
buffers, are taken as they were saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import NoReturn

from weightscope.checkpoint.entry import Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.pieces import fill
from weightscope.checkpoint.pytorch_objects import MAX_DIMENSIONS, MAX_SIZE, StoredTensor
from weightscope.checkpoint.pytorch_opened import Opened, open_saved
from weightscope.checkpoint.together import Together
from weightscope.checkpoint.training import Training, added_up, optimizer_of
from weightscope.checkpoint.zero import ABSENT, Cut, Shapes, by_group, by_parameter
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where
from weightscope.findings import Finding
from weightscope.ranges import summed

FILE = re.compile(
    r"(?:\w*?zero_pp_rank_(?P<rank>\d{1,6})_)?mp_rank_(?P<model>\d{1,6})_(?P<what>model|optim)_states\.pt"
)
STATE = "optimizer_state_dict"
# What the flat vectors are called: in stages 1 and 2, in stage 3.
BY_GROUP, BY_PARAMETER = "single_partition_of_fp32_groups", "fp32_flat_groups"
AGAIN = "copy the files of all machines again, or take an earlier save"
MAX_RANKS = 100_000


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The model in a ZeRO checkpoint; `paths` are its files.

    Raises:
        CheckpointError: a file is damaged, or says nothing of its parameters.
        NotImplementedByWeightscope: the model itself is split over several ranks.
    """
    folder = LocalFolder(paths[0].parent)
    models, optimizers = _sorted(folder, [path.name for path in paths])
    first = _opened(folder, models[0], 0)
    module = dict(_tensors(first, first.top.get("module")))
    if not optimizers and "param_shapes" not in first.top:
        return Together(files=[first.header], tensors=module, training=_training(first, [], None))
    ranks = {rank: _opened(folder, name, at) for at, (rank, name) in enumerate(optimizers.items(), 1)}
    world = _world(ranks.values(), first.header.where)
    everyone = [_vectors(ranks.get(rank) or next(iter(ranks.values())), here=rank in ranks) for rank in range(world)]
    shapes = _shapes(first.top.get("param_shapes"), first.header.where)
    files = [first, *ranks.values()]
    if any(BY_PARAMETER in _state(rank) for rank in ranks.values()):
        # What is frozen is all that the other ranks' modules have.
        beside = models[1:] if first.top.get("frozen_param_shapes") else ()
        others = [_opened(folder, name, len(files) + at) for at, name in enumerate(beside)]
        cut, untrained = by_parameter(shapes, everyone), _untrained(module, [first, *others])
        files += others
    else:
        cut, untrained = by_group(shapes, everyone, _paddings(ranks.values())), module
    return Together(
        files=[file.header for file in files],
        tensors=_in_order(first, cut, untrained, shapes),
        findings=list(_findings(cut, world, len(ranks))),
        training=_training(first, list(ranks.values()), world),
    )


def _opened(folder: Folder, name: str, number: int) -> Opened:
    return open_saved(folder.path / name, number, file_format="deepspeed")


def _sorted(folder: Folder, names: Iterable[str]) -> tuple[list[str], dict[int, str]]:
    """The files with the module, by rank, and those with the optimizers' states by their rank."""
    models: list[tuple[int, str]] = []
    optimizers: dict[int, str] = {}
    for name in names:
        match = FILE.fullmatch(name)
        if match is None:
            continue
        if int(match["model"]):
            raise NotImplementedByWeightscope(
                "a model that is itself split over several ranks (mp_rank_01 …), which weightscope does not join",
                where=folder.where,
                hint="convert it with DeepSpeed's ds_to_universal.py",
            )
        rank = int(match["rank"] or 0)
        if match["what"] == "model":
            models.append((rank, name))
        else:
            optimizers[rank] = name
    if not models:
        raise CheckpointError(
            "holds DeepSpeed's optimizer states, and no *_model_states.pt, which says what is in them",
            where=folder.where,
            hint=AGAIN,
            code="missing-shard",
        )
    return [name for _, name in sorted(models)], dict(sorted(optimizers.items()))


def _tensors(file: Opened, mapping: object) -> Iterator[tuple[str, TensorEntry]]:
    """The tensors of a mapping by name."""
    for name, tensor in mapping.items() if isinstance(mapping, dict) else ():
        if isinstance(name, str) and isinstance(tensor, StoredTensor):
            yield name, file.entry(name, tensor)


def _state(rank: Opened) -> dict[object, object]:
    state = rank.top.get(STATE)
    return state if isinstance(state, dict) else {}


def _world(ranks: Iterable[Opened], where: Where) -> int:
    """How many ranks saved: the optimizers' states say so, or there are as many as files."""
    counts = [_state(rank).get("partition_count") for rank in ranks]
    told = [count for each in counts for count in (each if isinstance(each, list) else [each]) if type(count) is int]
    world = max(told, default=len(counts))
    if not 0 < world <= MAX_RANKS or not counts:
        _malformed("has no optimizer state beside it that says how many ranks saved", where)
    return max(world, len(counts))


def _vectors(rank: Opened, *, here: bool) -> list[TensorEntry]:
    """The flat vectors of a rank; those of one that is not here are as long as another's."""
    state = _state(rank)
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
    listed = next(iter([_state(rank).get("param_alignment_paddings") for rank in ranks]), None)
    groups = listed if isinstance(listed, list) else []
    known = [group for group in groups if isinstance(group, list)]
    return [[pad if type(pad) is int and pad >= 0 else 0 for pad in group] for group in known]


def _untrained(module: dict[str, TensorEntry], files: list[Opened]) -> dict[str, TensorEntry]:
    """Of stage 3: the buffers, which are whole, and what is frozen, of which each rank has a run."""
    first = files[0]
    buffers = first.top.get("buffer_names")
    found = {name: module[name] for name in buffers if name in module} if isinstance(buffers, list) else {}
    shapes = first.top.get("frozen_param_shapes")
    runs = [dict(_tensors(file, file.top.get("frozen_param_fragments"))) for file in files]
    for name, shape in _sized(shapes, first.header.where) if isinstance(shapes, dict) else ():
        pieces: list[Piece] = []
        at, count = 0, prod(shape)
        for run in (each[name] for each in runs if name in each):
            width = (run.data_offsets[1] - run.data_offsets[0]) // max(prod(run.shape), 1)
            length = min(prod(run.shape), count - at)
            start = run.data_offsets[0]
            pieces.append(Piece((at,), (length,), run.file, (start, start + length * width)))
            at += length
        if pieces and fill(shape, pieces):
            dtype = runs[0][name].dtype
            size = sum(stop - start for start, stop in (piece.data_offsets for piece in pieces))
            found[name] = PiecedEntry(dtype, shape, (0, size), None, pieces[0].file, pieces=tuple(pieces))
    return found


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


def _findings(cut: Cut, world: int, here: int) -> Iterator[Finding]:
    if here < world:
        yield Finding(
            code="missing-shard",
            severity="error",
            message=f"{world - here:,} of the {world:,} ranks' optimizer states are missing; they hold the weights",
            hint=AGAIN,
        )
    if cut.left:
        titles = summed(cut.left)
        why = "lie in files that are not here" if here < world else "are not filled by the ranks' vectors"
        count = "1 parameter" if len(cut.left) == 1 else f"{len(cut.left):,} parameters"
        yield Finding(
            code="malformed-header",
            severity="error",
            message=f"{count} {why}: {titles[0]}{' …' if len(titles) > 1 else ''}",
            tensors=tuple(titles),
            hint=f"they are left out; {AGAIN}",
        )
    if cut.spare:
        yield Finding(
            code="malformed-header",
            severity="error",
            message=f"the ranks' vectors hold {cut.spare:,} elements that no parameter has",
            hint="the files are of different saves: parameters may be cut in the wrong places",
        )


def _training(first: Opened, ranks: list[Opened], world: int | None) -> Training:
    parts = [part for part in first.parts({"module", "frozen_param_fragments"}) if part.tensors]
    if ranks:
        copies = first.part("module", first.top.get("module"), "working_weights")
        parts += [copies] if copies.bytes else []
    parts += added_up(rank.part(STATE, _beside(rank), "optimizer") for rank in ranks)
    step = first.top.get("global_steps")
    return Training(
        writer="DeepSpeed",
        step=step if type(step) is int else None,
        world_size=world,
        optimizer=optimizer_of(parts),
        parts=tuple(parts),
    )


def _beside(rank: Opened) -> dict[object, object]:
    """The optimizer's state without the weights in it."""
    return {key: value for key, value in _state(rank).items() if key not in (BY_GROUP, BY_PARAMETER)}


def _malformed(what: str, where: Where) -> NoReturn:
    raise CheckpointError(what, where=where, hint=AGAIN, code="malformed-header")
