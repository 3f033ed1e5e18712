"""DeepSpeed's checkpoints: each rank's part of the float32 weights, or the layers of a pipeline, joined to one model.

The layout is that of DeepSpeed 0.4 to 0.19, as its own `zero_to_fp32.py` and `ds_to_universal.py` read it. Weights that
are not trained, and buffers, are taken as they were saved, and so are those of pipelines and of DeepSpeed-MoE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

from weightscope.checkpoint.deepspeed_files import Files, sorted_files
from weightscope.checkpoint.deepspeed_names import INFO, rules_of
from weightscope.checkpoint.deepspeed_rank import (
    BY_GROUP,
    BY_PARAMETER,
    STATE,
    OfRank,
    by_runs,
    module_of,
    read_rank,
    state_of,
    tensors_of,
)
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.pytorch_opened import Opened, open_saved
from weightscope.checkpoint.ranks import AGAIN, count_in, unlike
from weightscope.checkpoint.tensor_parallel import fits, put_together
from weightscope.checkpoint.together import Together
from weightscope.checkpoint.training import Part, Training, added_up, optimizer_of
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.findings import Finding
from weightscope.ranges import summed

Tensors = dict[str, TensorEntry]
# Mixtures whose experts AutoEP spreads over ranks.
SPREAD = "ds_autoep_layers"


class OpenedFiles:
    """The files of a checkpoint, each opened once, when it is asked for."""

    def __init__(self, folder: LocalFolder) -> None:
        self._folder = folder
        self._opened: dict[str, Opened] = {}

    def file(self, name: str) -> Opened:
        """One of them."""
        if name not in self._opened:
            path = self._folder.path / name
            self._opened[name] = open_saved(path, len(self._opened), file_format="deepspeed")
        return self._opened[name]

    @property
    def files(self) -> list[Opened]:
        """All that were asked for."""
        return [*self._opened.values()]


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The model in a checkpoint; `paths` are its files.

    Raises:
        CheckpointError: a file is damaged, or says nothing of its parameters.
        NotImplementedByWeightscope: a parameter is split over ranks by no rule that is known.
    """
    folder = LocalFolder(paths[0].parent)
    files, opened = sorted_files(path.name for path in paths), OpenedFiles(folder)
    if not files.models:
        raise _no_models(folder)
    first = opened.file(next(iter(files.models.values()))[0])
    if first.top.get(SPREAD):
        raise NotImplementedByWeightscope(
            "a DeepSpeed checkpoint whose experts AutoEP spreads over ranks, which weightscope does not join",
            where=folder.where,
            hint="convert it with DeepSpeed's ds_to_universal.py",
        )
    if not files.optimizers and (folder.path / "zero").is_dir():
        raise NotImplementedByWeightscope(
            "a universal checkpoint of DeepSpeed, which has each parameter in a folder of its own and is not read",
            where=folder.where,
            hint="give the checkpoint that it was made from",
        )
    optimizers = {
        model: {rank: opened.file(name) for rank, name in names.items()} for model, names in files.optimizers.items()
    }
    if files.layers or files.experts:
        return _as_saved(files, opened, optimizers, first)
    ranks = {
        model: read_rank(_models(names, opened, optimizers.get(model, {})), optimizers.get(model, {}))
        for model, names in files.models.items()
    }
    width = max(count_in(first.top, "mp_world_size"), max(ranks) + 1)
    missing = [model for model in range(width) if model not in ranks]
    # Only the first rank says which weights share another's storage.
    shared = first.top.get("shared_params")
    left = {name for rank in ranks.values() for name in rank.left}.union(shared if isinstance(shared, dict) else ())
    whole = [{name: entry for name, entry in rank.tensors.items() if name not in left} for rank in ranks.values()]
    world = next(iter(ranks.values())).world
    modules = [opened.file(names[0]) for names in files.models.values()]
    copies = [file.part("module", file.top.get("module"), "working_weights") for file in modules if optimizers]
    return Together(
        files=[file.header for file in opened.files],
        tensors={} if missing else _joined(whole, first),
        findings=[*_missing_ranks(missing, width), *_findings([*ranks.values()])],
        training=_training(modules, _all(optimizers), world and world * len(ranks), copies),
    )


def _models(names: Sequence[str], opened: OpenedFiles, optimizers: Mapping[int, Opened]) -> list[Opened]:
    """The files with a rank's module: of stage 3, those of all data-parallel ranks, if they have what is frozen."""
    first = opened.file(names[0])
    more = names[1:] if by_runs(optimizers.values()) and first.top.get("frozen_param_shapes") else ()
    return [first, *(opened.file(name) for name in more)]


def _as_saved(
    files: Files, opened: OpenedFiles, optimizers: Mapping[int, Mapping[int, Opened]], first: Opened
) -> Together:
    """The weights as layers and experts were saved, in files of their own; float32 copies are the optimizer's."""
    ranks: dict[int, Tensors] = {}
    for model, names in files.models.items() if not files.layers else ():
        ranks[model] = module_of(opened.file(names[0]))
    for model, names in files.experts.items():
        for name in names:
            file = opened.file(name)
            ranks.setdefault(model, {}).update(tensors_of(file, file.top))
    for layer, parts in files.layers.items():
        for rank, name in parts.items():
            file = opened.file(name)
            found = {f"{layer}.{own}": entry for own, entry in tensors_of(file, file.top)}
            ranks.setdefault(rank, {}).update(found)
    width = max(ranks, default=0) + 1
    wanted = [(layer, rank) for layer in files.layers for rank in range(width)]
    missing = [_layer_file(layer, rank) for layer, rank in wanted if rank not in files.layers[layer]]
    lost = [rank for rank in range(width) if rank not in ranks]
    world = max((len(of_model) for of_model in optimizers.values()), default=None)
    others = [opened.file(name) for name in files.others]
    modules = [opened.file(names[0]) for names in files.models.values()]
    copies = [rank.part("master_weights", _vectors(rank), "master_weights") for rank in _all(optimizers)]
    return Together(
        files=[file.header for file in opened.files],
        tensors={} if missing or lost else _joined([ranks[rank] for rank in range(width)], first),
        findings=[*_missing_ranks(lost, width), *_missing("files of layers", missing, len(wanted))],
        training=_training(modules, [*_all(optimizers), *others], world and world * len(files.models), copies),
    )


def _all(optimizers: Mapping[int, Mapping[int, Opened]]) -> list[Opened]:
    return [rank for of_model in optimizers.values() for rank in of_model.values()]


def _joined(parts: Sequence[Tensors], first: Opened) -> Tensors:
    """The tensors of the model, from the parts of the ranks that split it."""
    where = first.header.where
    if len(parts) == 1:
        return parts[0]
    rules = rules_of(first.top.get(INFO), len(parts), where)
    tensors: Tensors = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        listed = [part[name] for part in parts if name in part]
        split = rules.split_of(name, parts[0] if name in parts[0] else {name: listed[0]}, where)
        there = len(listed) == len(parts)
        # AutoTP gives a rank nothing of a matrix with fewer heads than ranks.
        listed = listed if split.widths else [part for part in listed if prod(part.shape)] or listed
        if not there or not fits(listed, split):
            raise unlike(name, where)
        tensors[name] = put_together(listed, split)
    return tensors


def _no_models(folder: Folder) -> CheckpointError:
    return CheckpointError(
        "holds DeepSpeed's optimizer states, and no *_model_states.pt, which says what is in them",
        where=folder.where,
        hint=AGAIN,
        code="missing-shard",
    )


def _layer_file(layer: int, rank: int) -> str:
    return f"layer_{layer:02}-model_{rank:02}-model_states.pt"


def _missing_ranks(models: Sequence[int], width: int) -> Iterator[Finding]:
    return _missing("ranks that split the model", [f"mp_rank_{model:02}" for model in models], width)


def _missing(kind: str, names: Sequence[str], wanted: int) -> Iterator[Finding]:
    """Files or ranks that are not here, of so many, each with a part of every matrix."""
    if names:
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        yield Finding(
            code="missing-shard",
            severity="error",
            message=f"{len(names):,} of {wanted:,} {kind} are missing: {shown}",
            hint="each has a part of every matrix, so nothing can be read: copy those of all machines",
        )


def _findings(ranks: Sequence[OfRank]) -> Iterator[Finding]:
    """What is wrong with the ranks' flat vectors."""
    missing = sum(rank.missing for rank in ranks)
    if missing:
        total = sum(rank.world or 0 for rank in ranks)
        yield Finding(
            code="missing-shard",
            severity="error",
            message=f"{missing:,} of the {total:,} ranks' optimizer states are missing; they hold the weights",
            hint=AGAIN,
        )
    left = [*dict.fromkeys(name for rank in ranks for name in rank.left)]
    if left:
        titles = summed(left)
        why = "lie in files that are not here" if missing else "are not filled by the ranks' vectors"
        count = "1 parameter" if len(left) == 1 else f"{len(left):,} parameters"
        yield Finding(
            code="malformed-header",
            severity="error",
            message=f"{count} {why}: {titles[0]}{' …' if len(titles) > 1 else ''}",
            tensors=tuple(titles),
            hint=f"they are left out; {AGAIN}",
        )
    spare = sum(rank.spare for rank in ranks)
    if spare:
        yield Finding(
            code="malformed-header",
            severity="error",
            message=f"the ranks' vectors hold {spare:,} elements that no parameter has",
            hint="the files are of different saves: parameters may be cut in the wrong places",
        )


def _training(models: Sequence[Opened], ranks: Sequence[Opened], world: int | None, copies: Iterable[Part]) -> Training:
    """What lies beside the weights: in the files of the ranks that split the model, in those of the `ranks`'
    optimizers, and copies in another precision.
    """
    kept = (part for file in models for part in file.parts({"module", "frozen_param_fragments"}))
    parts = [part for part in added_up(kept) if part.tensors]
    parts += [part for part in added_up(copies) if part.bytes]
    parts += added_up(map(_optimizer, ranks))
    step = models[0].top.get("global_steps")
    return Training(
        writer="DeepSpeed",
        step=step if type(step) is int else None,
        world_size=world,
        optimizer=optimizer_of(parts),
        parts=tuple(parts),
    )


def _optimizer(rank: Opened) -> Part:
    """The optimizer's state without the weights in it."""
    state = state_of(rank) or rank.top
    beside = {key: value for key, value in state.items() if key not in (BY_GROUP, BY_PARAMETER)}
    return rank.part(STATE, beside, "optimizer")


def _vectors(rank: Opened) -> list[object]:
    state = state_of(rank)
    return [state.get(BY_GROUP), state.get(BY_PARAMETER)]
