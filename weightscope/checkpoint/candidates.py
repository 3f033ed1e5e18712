"""The weight files of one format in a folder: which of them is meant, by index, usual name or shard numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.location import Location
from weightscope.checkpoint.sets import SHARD, Beside, numbered_sets
from weightscope.errors import CheckpointError

WEIGHT_SUFFIXES = {
    ".safetensors": "safetensors",
    ".bin": "pytorch",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".ckpt": "pytorch",
    ".gguf": "gguf",
}
# The names that transformers and diffusers write, looked for before any other.
BASES = ("model", "pytorch_model", "diffusion_pytorch_model")
# What training loops leave beside the weights (transformers' Trainer), adapters and other runtimes' files.
NOT_WEIGHTS = (
    r"(training_args|optimizer|scheduler|scaler|rng_state.*|adapter_model|openvino_.*|(zero_pp_rank|mp_rank)_.*|"
    r"expp_rank_.*|(layer|expert)_\d+.*model_states|params_shard_\d+|group\d+-shard\d+of\d+)"
    r"\.(bin|pt|pth|safetensors)"
)
# Meta's own releases: each file has its part of every matrix.
RELEASE = r"consolidated\.(\d{2})\.pth"
VARIANT = r"(?:diffusion_pytorch_|pytorch_)?model\.(?!safetensors|bin)([\w-]+?)(?:-\d+-of-\d+)?\.(?:safetensors|bin)"


def format_by_name(name: str) -> str:
    """What a weight file of that name should hold; empty for other names. `.pth.tar` is what some call a `.pth`."""
    return WEIGHT_SUFFIXES.get(os.path.splitext(name.removesuffix(".tar"))[1], "")


def from_index(folder: Folder, name: str, *, alone: bool = False) -> Location:
    """The shards an index names; `alone` takes an index with none of them beside it as names only."""
    from weightscope.checkpoint.index import read_index

    index = read_index(folder.fetch(name))
    shards = index.shards
    present = {shard: folder.path / shard for shard in shards if folder.holds(shard)}
    config = sibling_config(folder)
    if not present and alone:
        return Location(format="index", index=index, config=config)
    suffix = Path(shards[0]).suffix if shards else ".safetensors"
    return Location(
        format=WEIGHT_SUFFIXES.get(suffix, "safetensors"),
        weights=tuple(present.values()),
        missing=tuple(shard for shard in shards if shard not in present),
        index=index,
        config=config,
    )


def sibling_config(folder: Folder) -> Path | None:
    """The folder's config.json, if it has one."""
    return folder.fetch("config.json") if folder.holds("config.json") else None


def candidates(
    folder: Folder, weights: list[str], names: list[str], suffix: str, variant: str | None
) -> Location | None:
    """The weight files of one format in a directory: by index, by a usual name, by shard numbers, or the only one."""
    for base in BASES:
        single = f"{base}.{variant}{suffix}" if variant else f"{base}{suffix}"
        for index in _index_names(base, suffix, variant):
            if index in names:
                indexed = _unless_single(folder, from_index(folder, index), single)
                return indexed if indexed.complete else _complete_beside(folder, indexed, weights, variant) or indexed
        if single in names:
            return Location(format=WEIGHT_SUFFIXES[suffix], weights=(folder.path / single,))
    if variant is None:
        others = [
            n for n in names if n.endswith(f"{suffix}.index.json") and not variant_of(n.removesuffix(".index.json"))
        ]
        if len(others) == 1:
            return from_index(folder, others[0])
    usable = [n for n in weights if not re.fullmatch(NOT_WEIGHTS, n) and variant_of(n) == variant]
    # Mistral publishes its own `consolidated` spelling beside the one for everyone else.
    usable = [n for n in usable if not n.startswith("consolidated")] or usable
    usable = usable or [n for n in weights if n.startswith("adapter_model.")]
    if not usable:
        return None
    return _numbered(folder, usable) or _only(folder, usable)


def _complete_beside(folder: Folder, indexed: Location, weights: list[str], variant: str | None) -> Location | None:
    """A complete set of numbered shards, where those of the index are not all there: the index is of another save."""
    index = indexed.index
    if index is None:
        return None
    known = {*index.shards}
    others = [n for n in weights if n not in known and variant_of(n) == variant and not n.startswith("consolidated")]
    whole = [found for found in numbered_sets(others) if not found.missing]
    if len(whole) != 1:
        return None
    return Location(
        format=WEIGHT_SUFFIXES[Path(whole[0].names[0]).suffix],
        weights=tuple(folder.path / name for name in whole[0].names),
        beside=(Beside(relation="stale-index", name=index.path.name),),
    )


def _unless_single(folder: Folder, indexed: Location, single: str) -> Location:
    """The shards, or the whole model in one file where that lies beside an index that does not name it."""
    if indexed.index is None or not folder.holds(single) or single in indexed.index.shards:
        return indexed
    name = indexed.index.path.name
    return Location(
        format=WEIGHT_SUFFIXES[Path(single).suffix],
        weights=(folder.path / single,),
        notes=(f"{name} is here too; {single} is read, as in other loaders",),
        beside=(Beside(relation="same-format" if indexed.complete else "left-index", name=name),),
    )


def _index_names(base: str, suffix: str, variant: str | None) -> tuple[str, ...]:
    if not variant:
        return (f"{base}{suffix}.index.json",)
    # transformers and diffusers put the variant before .json; older diffusers put it after the base.
    return (f"{base}{suffix}.index.{variant}.json", f"{base}.{variant}{suffix}.index.json")


def variant_of(name: str) -> str | None:
    """The variant that a weight file's name tells: `fp16` of `model.fp16.safetensors`."""
    match = re.fullmatch(VARIANT, name)
    shard = SHARD.fullmatch(name)
    if shard and shard["variant"]:
        return shard["variant"][1:]
    return match[1] if match else None


def _numbered(folder: Folder, names: list[str]) -> Location | None:
    """Shards without an index, told by their `-00001-of-00004`; of several sets the one that is complete."""
    sets = numbered_sets(names)
    whole = [found for found in sets if not found.missing]
    if sum(len(found.names) for found in sets) != len(names) or (len(sets) > 1 and len(whole) != 1):
        return None
    return Location(
        format=WEIGHT_SUFFIXES[Path(sets[0].names[0]).suffix],
        weights=tuple(folder.path / n for n in sets[0].names),
        missing=sets[0].missing,
        notes=("no index file: shards were found by their numbers",),
    )


def _only(folder: Folder, names: list[str]) -> Location:
    if len(names) > 1 and all(re.fullmatch(RELEASE, name) for name in names):
        return Location(format="meta", weights=tuple(folder.path / name for name in names))
    if len(names) > 1:
        shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        raise CheckpointError(
            f"has {len(names)} weight files and no index that says which to read ({shown})",
            where=folder.where,
            hint="give the path of one of them",
        )
    return Location(format=format_by_name(names[0]), weights=(folder.path / names[0],))
