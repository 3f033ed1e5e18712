"""Where a training run's folder keeps the model that it trains: in ranks' parts, and below folders of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from weightscope.checkpoint.dcp import METADATA
from weightscope.checkpoint.deepspeed_files import is_part
from weightscope.checkpoint.folder import LocalFolder
from weightscope.checkpoint.megatron import FILES as MEGATRON_FILES
from weightscope.checkpoint.megatron import RANK as MEGATRON

# Folders that training loops write below the one that was named, the last step in the one with the highest number.
_FSDP = re.compile(r"pytorch_model_fsdp_(\d{1,4})")
_STEP = re.compile(r"(?:checkpoint|global_step|step|iter|epoch)[-_=]?(\d{1,12})(?:\.ckpt)?")
_TRAINER = re.compile(r"checkpoint-(\d{1,12})")
# Where DeepSpeed and Megatron-LM say which step they saved last.
_LATEST = ("latest", "latest_checkpointed_iteration.txt")
# A run's folder, a step's, and one for the weights in that.
MAX_DEPTH = 3
MAX_NAME = 255
MAX_FOLDERS = 10_000


def find_parts(folder: LocalFolder, depth: int = MAX_DEPTH) -> tuple[str, Path, tuple[str, ...]] | None:
    """The format, the folder and the names of a model's parts; None where there is nothing of the kind.

    Only names are looked at. Of several steps the last one is taken.
    """
    names = folder.names()
    if parts := distributed_files(names):
        return "dcp", folder.path, parts
    if parts := tuple(name for name in names if is_part(name)):
        return "deepspeed", folder.path, parts
    if parts := tuple(_of_megatron(folder, names)):
        return "megatron", folder.path, parts
    for name in _below(folder, names) if depth > 1 else ():
        if found := find_parts(LocalFolder(folder.path / name), depth - 1):
            return found
    return None


def distributed_files(names: list[str]) -> tuple[str, ...]:
    """The files of a distributed checkpoint of torch among those of a folder."""
    return tuple(name for name in names if name == METADATA or name.endswith(".distcp"))


def last_step(folder: Path, names: list[str]) -> Path | None:
    """The last `checkpoint-N` of transformers' Trainer in a folder of these names; None where parts lie beside."""
    steps = [(int(match[1]), name) for name in names if (match := _TRAINER.fullmatch(name))]
    steps = [step for step in steps if (folder / step[1]).is_dir()]
    beside = any(name in (METADATA, "latest") or name.endswith(".distcp") for name in names)
    return folder / max(steps)[1] if steps and not beside else None


def _of_megatron(folder: LocalFolder, names: list[str]) -> Iterator[str]:
    """The files of Megatron-LM's ranks, each in a folder of its own."""
    for name in names:
        if MEGATRON.fullmatch(name):
            files = (f"{name}/{file}" for file in MEGATRON_FILES)
            yield from [file for file in files if (folder.path / file).is_file()][:1]


def _below(folder: LocalFolder, names: list[str]) -> list[str]:
    """The folders to look into, the best first: what the run says it saved last, FSDP's, then steps from the last."""
    inner = [name for name in names[:MAX_FOLDERS] if (folder.path / name).is_dir()]
    steps = sorted((int(match[1]), name) for name in inner if (match := _STEP.fullmatch(name)))
    chosen = [name for name in inner if _FSDP.fullmatch(name)] + [name for _, name in reversed(steps)]
    latest = next((_latest(folder.path / name) for name in _LATEST if name in names), "")
    return [latest, *(name for name in chosen if name != latest)] if latest in inner else chosen


def _latest(path: Path) -> str:
    """The folder that was saved last: DeepSpeed names it, Megatron-LM gives its number."""
    with path.open("rb") as file:
        said = file.read(MAX_NAME).decode("utf-8", "replace").strip()
    return f"iter_{int(said):07d}" if path.suffix and said.isdecimal() and said.isascii() else said


def config_above(folder: Path, within: Path) -> Path | None:
    """The nearest config.json: of the parts' folder or one above it, at most two above the folder that was named."""
    for place in (folder, *folder.parents)[: len(folder.parts) - len(within.parts) + MAX_DEPTH]:
        if (place / "config.json").is_file():
            return place / "config.json"
    return None
