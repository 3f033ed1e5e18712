"""Megatron-LM's checkpoints: a file for each tensor-parallel rank of each pipeline stage, joined to one model.

Layers are numbered from 0 in each stage, and on through the stages here. Source: Megatron-LM
`megatron/training/checkpointing.py` (`get_checkpoint_name`, `generate_state_dict`) for the files and their keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from pathlib import Path

from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.megatron_experts import joined_experts
from weightscope.checkpoint.megatron_names import CONVERT, split_of
from weightscope.checkpoint.pickle_harmless import NAMESPACE
from weightscope.checkpoint.pickle_machine import Made
from weightscope.checkpoint.pytorch_opened import Opened, open_saved
from weightscope.checkpoint.pytorch_weights import find_weights
from weightscope.checkpoint.ranks import count_in, unlike
from weightscope.checkpoint.tensor_parallel import fits, put_together
from weightscope.checkpoint.together import Plain, Together
from weightscope.checkpoint.training import Part, Training, added_up, optimizer_of, told_by
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where
from weightscope.findings import Finding

# Tensor-parallel rank; pipeline stage, where there are several; expert-parallel rank, where there are several.
RANK = re.compile(r"mp_rank_(?P<tensor>\d{2,6})(?:_(?P<stage>\d{3,6}))?(?:_(?P<expert>\d{3,6}))?")
FILES = ("model_optim_rng.pt", "model_rng.pt")
OPTIMIZER = "distrib_optim.pt"
FORMAT = "megatron"

_LAYER = re.compile(r"(?P<stack>(?:.*\.)?(?:decoder|encoder|transformer)\.layers\.)(?P<number>\d{1,6})(?P<rest>\..*)")
_EMBEDDING = "word_embeddings.weight"
_COPY, _HEAD = "word_embeddings_for_head.weight", "output_layer.weight"
_UNTIED = "untie_embeddings_and_output_weights"
# What Transformer Engine keeps beside the weights: scales of its own, no parameters.
_STATE = "_extra_state"

# Tensor-parallel rank, pipeline stage, expert-parallel rank.
Rank = tuple[int, int, int]
Tensors = dict[str, TensorEntry]


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The model in the ranks' files; `paths` are those, each in its rank's folder.

    Raises:
        CheckpointError: a file is damaged, or the ranks do not hold the same tensors.
        NotImplementedByWeightscope: a parameter is split by no rule that is known.
    """
    where = folder.named(paths[0].parent.parent.name)
    files = [open_saved(path, number, file_format=FORMAT) for number, path in enumerate(paths)]
    settings = _settings(files[0])
    width = count_in(settings, "tensor_model_parallel_size")
    of_experts = count_in(settings, "expert_tensor_parallel_size")
    if count_in(settings, "num_experts") and of_experts not in (0, width):
        raise NotImplementedByWeightscope(
            "a Megatron-LM checkpoint whose experts are split over other ranks than the rest, which weightscope does "
            "not join",
            where=where,
            hint=CONVERT,
        )
    stages, experts = (count_in(settings, f"{kind}_model_parallel_size") for kind in ("pipeline", "expert"))
    ranks = {_rank(path, stages, experts): file for path, file in zip(paths, files, strict=True)}
    said = (width, stages, experts)
    counts = [max(count, *(rank[at] + 1 for rank in ranks)) for at, count in enumerate(said)]
    wanted = product(range(counts[0]), range(counts[1]), range(counts[2]))
    missing = list(islice((rank for rank in wanted if rank not in ranks), 4))
    findings = [_missing(missing, prod(counts), len(ranks), stages=counts[1] > 1)] if missing else []
    tensors = {} if missing else _joined(ranks, counts, where, tied=settings.get(_UNTIED) is False)
    return Together(
        files=[file.header for file in files],
        tensors=tensors,
        findings=findings,
        training=_training(files),
        arguments=dict(_plain(settings)),
    )


def _rank(path: Path, stages: int, experts: int) -> Rank:
    """From a folder's name; one number after the first is the stage, or without stages the expert-parallel rank."""
    match = RANK.fullmatch(path.parent.name)
    tensor, second, third = (int(match[group] or 0) for group in (1, 2, 3)) if match else (0, 0, 0)
    if match and match["stage"] and not match["expert"] and stages <= 1 < experts:
        return tensor, 0, second
    return tensor, second, third


def _settings(rank: Opened) -> Mapping[object, object]:
    """What the run's command line said."""
    said = rank.top.get("args")
    state = said.state if isinstance(said, Made) and said.name == NAMESPACE else None
    return state if isinstance(state, dict) else {}


def _plain(settings: Mapping[object, object]) -> Iterator[tuple[str, Plain]]:
    """The settings that are a word, a number or null."""
    for key, value in settings.items():
        if isinstance(key, str) and (value is None or isinstance(value, bool | int | float | str)):
            yield key, value


def _joined(ranks: Mapping[Rank, Opened], counts: Sequence[int], where: Where, *, tied: bool) -> Tensors:
    """The tensors of all stages; of a tied head, only the embedding that it is a copy of."""
    width, stages, experts = counts
    by_rank = {rank: _chunks(opened) for rank, opened in ranks.items()}
    chunks = min(map(len, by_rank.values()))
    tensors: Tensors = {}
    layers: dict[str, int] = {}
    # With several chunks a stage (interleaved pipelines), the first chunks of all stages come before the second ones.
    for chunk, stage in product(range(chunks), range(stages)):
        parts = [
            joined_experts([by_rank[tensor, stage, expert][chunk] for expert in range(experts)], where)
            for tensor in range(width)
        ]
        whole = _whole(parts, ranks[0, stage, 0])
        for name, entry in _numbered(whole, layers):
            if tensors.setdefault(name, entry).shape != entry.shape:
                raise unlike(name, where)
    if any(name.endswith(_EMBEDDING) for name in tensors):
        copies = (_COPY, _HEAD) if tied else (_COPY,)
        return {name: entry for name, entry in tensors.items() if not name.endswith(copies)}
    return tensors


def _chunks(rank: Opened) -> list[Tensors]:
    """The tensors of each chunk of the model that a rank holds."""
    several = [key for key in (f"model{number}" for number in range(len(rank.top))) if key in rank.top]
    return [_tensors(rank, key) for key in several or ["model"]]


def _tensors(rank: Opened, key: str) -> Tensors:
    found, _ = find_weights({"model": rank.top.get(key)}, rank.header.where)
    return {name: rank.entry(name, tensor) for name, tensor in found.items() if not name.endswith(_STATE)}


def _whole(parts: Sequence[Tensors], rank: Opened) -> Tensors:
    """One chunk of the model, from the parts of its tensor-parallel ranks."""
    first, where = parts[0], rank.header.where
    if len(parts) == 1:
        return first
    version = rank.top.get("checkpoint_version")
    old = isinstance(version, int | float) and version < 2
    tensors: Tensors = {}
    for name in first:
        if old and "query_key_value" in name:
            raise NotImplementedByWeightscope(
                f"checkpoint_version {version} orders queries, keys and values in a way that weightscope does not join",
                where=where,
                hint=CONVERT,
            )
        listed = [part[name] for part in parts if name in part]
        split = split_of(name, first, where)
        if len(listed) != len(parts) or not fits(listed, split):
            raise unlike(name, where)
        tensors[name] = put_together(listed, split)
    return tensors


def _numbered(tensors: Tensors, layers: dict[str, int]) -> Iterator[tuple[str, TensorEntry]]:
    """The tensors of a stage with its layers numbered on; `layers` has how many came before, and gains these."""
    count: dict[str, int] = {}
    for name, entry in tensors.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            yield name, entry
            continue
        stack, number = match["stack"], int(match["number"])
        count[stack] = max(count.get(stack, 0), number + 1)
        yield f"{stack}{layers.get(stack, 0) + number}{match['rest']}", entry
    for stack, more in count.items():
        layers[stack] = layers.get(stack, 0) + more


def _folder_of(rank: Rank, *, stages: bool) -> str:
    """The name of a rank's folder; numbers of 0 at its end are left out."""
    tensor, stage, expert = rank
    numbers = [stage] if stages and (stage or expert) else []
    numbers += [expert] if expert else []
    return "_".join([f"mp_rank_{tensor:02}", *(f"{number:03}" for number in numbers)])


def _missing(missing: Sequence[Rank], wanted: int, here: int, *, stages: bool) -> Finding:
    names = [_folder_of(rank, stages=stages) for rank in missing]
    return Finding(
        code="missing-shard",
        severity="error",
        message=f"{wanted - here:,} of {wanted:,} ranks are missing: {', '.join(names[:3])}"
        + (" …" if len(names) > 3 else ""),
        hint="each rank has a part of every matrix, so nothing can be read: copy those of all machines",
    )


def _training(ranks: Sequence[Opened]) -> Training:
    parts = added_up(part for rank in ranks for part in _parts(rank))
    told = told_by(ranks[0].top, parts) or Training(writer=None)
    return replace(told, writer="Megatron-LM", world_size=len(ranks), optimizer=optimizer_of(parts), parts=parts)


def _parts(rank: Opened) -> Iterator[Part]:
    """What a rank keeps beside its weights, in its file and in the distributed optimizer's; damaged, only its size."""
    models = {key for key in rank.top if isinstance(key, str) and re.fullmatch(r"model\d*", key)}
    yield from (part for part in rank.parts(models) if part.tensors)
    path = rank.header.path.parent / OPTIMIZER
    if path.is_file():
        try:
            beside = open_saved(path, 0, file_format=FORMAT)
        except (CheckpointError, NotImplementedByWeightscope):
            yield Part(name=OPTIMIZER, kind="optimizer", tensors=0, bytes=path.stat().st_size)
        else:
            yield beside.part(OPTIMIZER, beside.top, "optimizer")
