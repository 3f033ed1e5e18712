"""Where a training run's folder keeps the model that it trains: in ranks' parts, and below folders of its own."""

from __future__ import annotations

import re
from pathlib import Path

from weightscope.checkpoint.dcp import METADATA
from weightscope.checkpoint.deepspeed import FILE as DEEPSPEED
from weightscope.checkpoint.folder import LocalFolder
from weightscope.errors import NotImplementedByWeightscope

# Folders that training loops write below the one that was named, the last step in the one with the highest number.
_FSDP = re.compile(r"pytorch_model_fsdp_(\d{1,4})")
_STEP = re.compile(r"(?:checkpoint|global_step|step|iter|epoch)[-_=]?(\d{1,12})(?:\.ckpt)?")
_TRAINER = re.compile(r"checkpoint-(\d{1,12})")
# Tensor-parallel rank, and pipeline rank where there are several.
_MEGATRON = re.compile(r"mp_rank_\d{2,6}(?:_\d{3,6})?")
_MEGATRON_FILES = ("model_optim_rng.pt", "model_rng.pt")
# A run's folder, a step's, and one for the weights in that.
MAX_DEPTH = 3
MAX_NAME = 255
MAX_FOLDERS = 10_000


def find_parts(folder: LocalFolder, depth: int = MAX_DEPTH) -> tuple[str, Path, tuple[str, ...]] | None:
    """The format, the folder and the names of a model's parts; None where there is nothing of the kind.

    Only names are looked at. Of several steps the last one is taken.
    """
    names = folder.names()
    if parts := tuple(name for name in names if name == METADATA or name.endswith(".distcp")):
        return "dcp", folder.path, parts
    if parts := tuple(name for name in names if DEEPSPEED.fullmatch(name)):
        return "deepspeed", folder.path, parts
    if split := [name for name in names if _MEGATRON.fullmatch(name) and (folder.path / name).is_dir()]:
        return _of_megatron(folder, split)
    for name in _below(folder, names) if depth > 1 else ():
        if found := find_parts(LocalFolder(folder.path / name), depth - 1):
            return found
    return None


def last_step(folder: Path, names: list[str]) -> Path | None:
    """The last `checkpoint-N` of transformers' Trainer in a folder of these names; None where parts lie beside."""
    steps = [(int(match[1]), name) for name in names if (match := _TRAINER.fullmatch(name))]
    steps = [step for step in steps if (folder / step[1]).is_dir()]
    beside = any(name in (METADATA, "latest") or name.endswith(".distcp") for name in names)
    return folder / max(steps)[1] if steps and not beside else None


def _of_megatron(folder: LocalFolder, split: list[str]) -> tuple[str, Path, tuple[str, ...]]:
    """The one file of a model that Megatron-LM did not split.

    Raises:
        NotImplementedByWeightscope: it is split over several ranks.
    """
    if len(split) > 1:
        raise NotImplementedByWeightscope(
            f"a Megatron-LM checkpoint, split over {len(split):,} ranks, which weightscope does not join",
            where=folder.where,
            hint="convert it with Megatron's tools/checkpoint/convert.py",
        )
    place = folder.path / split[0]
    return "pytorch", place, tuple(name for name in _MEGATRON_FILES if (place / name).is_file())[:1]


def _below(folder: LocalFolder, names: list[str]) -> list[str]:
    """The folders to look into, the best first: what `latest` names (DeepSpeed), FSDP's, then steps from the last."""
    inner = [name for name in names[:MAX_FOLDERS] if (folder.path / name).is_dir()]
    steps = sorted((int(match[1]), name) for name in inner if (match := _STEP.fullmatch(name)))
    chosen = [name for name in inner if _FSDP.fullmatch(name)] + [name for _, name in reversed(steps)]
    latest = _latest(folder.path / "latest") if "latest" in names else ""
    return [latest, *(name for name in chosen if name != latest)] if latest in inner else chosen


def _latest(path: Path) -> str:
    """The tag that DeepSpeed saved last."""
    with path.open("rb") as file:
        return file.read(MAX_NAME).decode("utf-8", "replace").strip()


def config_above(folder: Path, within: Path) -> Path | None:
    """The nearest config.json: of the parts' folder or one above it, at most two above the folder that was named."""
    for place in (folder, *folder.parents)[: len(folder.parts) - len(within.parts) + MAX_DEPTH]:
        if (place / "config.json").is_file():
            return place / "config.json"
    return None
