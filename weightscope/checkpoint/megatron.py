"""Megatron-LM's checkpoints: a file for each tensor-parallel rank of each pipeline stage, joined to one model.

Layers are numbered from 0 in each stage, and on through the stages here. Source: Megatron-LM
`megatron/training/checkpointing.py` (`get_checkpoint_name`, `generate_state_dict`) for the files and their keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path

from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.megatron_names import CONVERT, axis_of, blocks_of
from weightscope.checkpoint.pickle_harmless import NAMESPACE
from weightscope.checkpoint.pickle_machine import Made
from weightscope.checkpoint.pytorch_opened import Opened, open_saved
from weightscope.checkpoint.pytorch_weights import find_weights
from weightscope.checkpoint.tensor_parallel import alike, joined
from weightscope.checkpoint.together import Together
from weightscope.checkpoint.training import Part, Training, added_up, optimizer_of, told_by
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, Where
from weightscope.findings import Finding

# Tensor-parallel rank; pipeline stage, where there are several; expert-parallel rank, where there are several.
RANK = re.compile(r"mp_rank_(?P<tensor>\d{2,6})(?:_(?P<stage>\d{3,6}))?(?P<expert>_\d{3,6})?")
FILES = ("model_optim_rng.pt", "model_rng.pt")
OPTIMIZER = "distrib_optim.pt"
FORMAT = "megatron"
MAX_RANKS = 100_000
AGAIN = "copy the files of all machines again, or take an earlier save"

_LAYER = re.compile(r"(?P<stack>(?:.*\.)?(?:decoder|encoder|transformer)\.layers\.)(?P<number>\d{1,6})(?P<rest>\..*)")
_EMBEDDING = "word_embeddings.weight"
_COPY, _HEAD = "word_embeddings_for_head.weight", "output_layer.weight"
_UNTIED = "untie_embeddings_and_output_weights"
# What Transformer Engine keeps beside the weights: scales of its own, no parameters.
_STATE = "_extra_state"

Rank = tuple[int, int]
Tensors = dict[str, TensorEntry]


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:
    """The model in the ranks' files; `paths` are those, each in its rank's folder.

    Raises:
        CheckpointError: a file is damaged, or the ranks do not hold the same tensors.
        NotImplementedByWeightscope: a parameter is split by no rule that is known.
    """
    where = folder.named(paths[0].parent.parent.name)
    ranks = {_rank(path, where): open_saved(path, number, file_format=FORMAT) for number, path in enumerate(paths)}
    first = next(iter(ranks.values()))
    settings = _settings(first)
    if _number(settings, "expert_model_parallel_size") > 1:
        raise _experts(where)
    width = max(_number(settings, "tensor_model_parallel_size"), *(tensor + 1 for tensor, _ in ranks))
    stages = max(_number(settings, "pipeline_model_parallel_size"), *(stage + 1 for _, stage in ranks))
    wanted = product(range(width), range(stages))
    missing = list(islice((rank for rank in wanted if rank not in ranks), 4))
    findings = [_missing(missing, width * stages, len(ranks))] if missing else []
    tensors = {} if missing else _joined(ranks, width, stages, tied=settings.get(_UNTIED) is False)
    return Together(
        files=[rank.header for rank in ranks.values()],
        tensors=tensors,
        findings=findings,
        training=_training(list(ranks.values())),
    )


def _rank(path: Path, where: Where) -> Rank:
    match = RANK.fullmatch(path.parent.name)
    if match is None or match["expert"]:
        raise _experts(where)
    return int(match["tensor"]), int(match["stage"] or 0)


def _experts(where: Where) -> NotImplementedByWeightscope:
    return NotImplementedByWeightscope(
        "a Megatron-LM checkpoint whose experts are split over ranks, which weightscope does not join",
        where=where,
        hint=CONVERT,
    )


def _settings(rank: Opened) -> Mapping[object, object]:
    """What the run's command line said."""
    said = rank.top.get("args")
    state = said.state if isinstance(said, Made) and said.name == NAMESPACE else None
    return state if isinstance(state, dict) else {}


def _number(settings: Mapping[object, object], key: str) -> int:
    """A number of ranks among the settings; 0 where it is not there."""
    value = settings.get(key)
    return value if type(value) is int and 0 < value <= MAX_RANKS else 0


def _joined(ranks: Mapping[Rank, Opened], width: int, stages: int, *, tied: bool) -> Tensors:
    """The tensors of all stages; of a tied head, only the embedding that it is a copy of."""
    by_rank = {rank: _chunks(opened) for rank, opened in ranks.items()}
    chunks = min(map(len, by_rank.values()))
    tensors: Tensors = {}
    layers: dict[str, int] = {}
    # With several chunks a stage (interleaved pipelines), the first chunks of all stages come before the second ones.
    for chunk, stage in product(range(chunks), range(stages)):
        parts = [by_rank[tensor, stage][chunk] for tensor in range(width)]
        whole = _whole(parts, ranks[0, stage])
        for name, entry in _numbered(whole, layers):
            if tensors.setdefault(name, entry).shape != entry.shape:
                raise _unlike(name, ranks[0, stage].header.where)
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
        axis = axis_of(name, len(first[name].shape), where)
        listed = [part[name] for part in parts if name in part]
        if len(listed) != len(parts) or not alike(listed, axis):
            raise _unlike(name, where)
        tensors[name] = listed[0] if axis is None else joined(listed, axis, blocks_of(name, first, where))
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


def _unlike(name: str, where: Where) -> CheckpointError:
    return CheckpointError(
        f"{name[:200]} is not alike in the files of all ranks", where=where, hint=AGAIN, code="malformed-header"
    )


def _missing(missing: Sequence[Rank], wanted: int, here: int) -> Finding:
    names = [f"mp_rank_{tensor:02}" + (f"_{stage:03}" if stage else "") for tensor, stage in missing]
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
