"""From what a user names to the files that are meant: a directory, a weight file, an index, a config."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from weightscope.checkpoint.candidates import (
    WEIGHT_SUFFIXES,
    candidates,
    format_by_name,
    from_index,
    sibling_config,
    variant_of,
)
from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.foreign import converter_of, kind_of, named
from weightscope.checkpoint.header import START, format_of
from weightscope.checkpoint.location import Location
from weightscope.checkpoint.sets import SHARD, Beside
from weightscope.checkpoint.slices import LocalFile
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError

# Suffixes that say little: such a file elsewhere is opened to see what it is, as any file here is.
VAGUE = ("", ".tar", ".jit", ".ptl", ".pkl", ".pickle", ".model", ".weights", ".pt2")


def locate(path: Path, variant: str | None = None) -> Location:
    """What a path here means as a model; nothing but names is looked at, except to list an index's shards.

    Raises:
        UsageError: no such path, or nothing here that could be a model.
        CheckpointError: several candidates, or only variants, without a word on which is meant.
    """
    if path.is_dir():
        return locate_in(LocalFolder(path), variant)
    if not path.exists():
        from weightscope.checkpoint.absent import no_such_path

        raise no_such_path(path)
    if not path.is_file():
        raise UsageError("neither a file nor a directory", where=path)
    return locate_file(LocalFolder(path.parent), path.name, variant)


def locate_file(folder: Folder, name: str, variant: str | None = None) -> Location:
    """The same of one file of a folder, wherever that is."""
    where, suffix = folder.named(name), Path(name).suffix
    if variant:
        raise UsageError("--variant requires a directory, and this is a file", where=where, hint="leave it out")
    if name.endswith(".index.json") or re.search(r"\.index\.[\w-]+\.json$", name):
        return from_index(folder, name, alone=True)
    if suffix == ".json":
        return Location(format="config", config=folder.fetch(name))
    held = format_by_name(name) or _format_by_bytes(folder, name)
    if not held:
        raise NotImplementedByWeightscope(
            f"unsupported file type {suffix or '(no suffix)'}" + (f" ({what})" if (what := kind_of(name)) else ""),
            where=where,
            hint=converter_of(kind_of(name))
            or "weightscope reads .safetensors, .bin, .pt, .pth, .ckpt, .gguf, *.index.json and config.json",
        )
    if held == "gguf":
        from weightscope.checkpoint.gguf_files import of_one

        return of_one(folder, name)
    shard = SHARD.fullmatch(name)
    found = Location(
        format=held,
        weights=(folder.path / name,),
        config=sibling_config(folder),
        shards=int(shard["count"][:9]) if shard else 0,
    )
    return msgspec.structs.replace(found, config=_params(folder, found) or found.config)


def _format_by_bytes(folder: Folder, name: str) -> str:
    """The same for any other name: what its first bytes say, where the name does not speak against it."""
    if kind_of(name) or not folder.holds(name):
        return ""
    vague = Path(name).suffix in VAGUE
    if not folder.is_here(name):
        return "pytorch" if vague else ""
    try:
        with LocalFile(folder.path / name) as data:
            start = data[0:START]
            return format_of(start, folder.named(name)) if start else ""
    except CheckpointError:
        # A text or an empty file that was never called weights is no failed download.
        if vague:
            raise
        return ""


def locate_in(folder: Folder, variant: str | None = None) -> Location:
    """The same of a whole folder, wherever that is."""
    names = folder.names()
    if not names:
        raise UsageError("an empty directory", where=folder.where, hint="is the download finished?")
    config = folder.fetch("config.json") if "config.json" in names else None
    formats = [format_by_name(name) for name in names]
    by_format = {
        held: candidates(folder, [n for n, f in zip(names, formats, strict=True) if f == held], names, suffix, variant)
        for held, suffix in (("safetensors", ".safetensors"), ("pytorch", ".bin"))
    }
    first, second = by_format["safetensors"], by_format["pytorch"]
    chosen = first or second
    if chosen is None and "gguf" in formats:
        from weightscope.checkpoint.gguf_files import of_folder

        return of_folder(folder, [n for n, f in zip(names, formats, strict=True) if f == "gguf"], variant)
    if chosen is None:
        return _without_weights(folder, names, config, variant)
    if first and second and first.index and not first.weights and second.complete:
        stale = Beside(relation="stale-index", name=first.index.path.name)
        chosen = msgspec.structs.replace(second, beside=(stale, *second.beside))
    elif first and second and not is_adapter(second):
        what = second.index.path.name if second.index else ", ".join(p.name for p in second.weights)
        note = f"{what} is here too; safetensors is read, as in other loaders"
        other = (Beside(relation="other-format", name=what),) if second.complete else ()
        chosen = msgspec.structs.replace(chosen, notes=(*chosen.notes, note), beside=(*chosen.beside, *other))
    if not is_adapter(chosen):
        adapters = [Beside(relation="adapter", name=n) for n in names if n.startswith("adapter_model.")]
        chosen = msgspec.structs.replace(chosen, beside=(*chosen.beside, *adapters[:1], *_original(names, chosen)))
    return msgspec.structs.replace(chosen, config=_params(folder, chosen) or config)


def _params(folder: Folder, chosen: Location) -> Path | None:
    """The params.json of an original release, whose names config.json does not describe."""
    original = chosen.weights and chosen.weights[0].name.startswith("consolidated")
    return folder.fetch("params.json") if original and folder.holds("params.json") else None


def _original(names: list[str], chosen: Location) -> list[Beside]:
    """An original release's files (`consolidated.*`), where something else is read."""
    original = [n for n in names if n.startswith("consolidated") and Path(n).suffix in WEIGHT_SUFFIXES]
    if not original or any(path.name.startswith("consolidated") for path in chosen.weights):
        return []
    return [Beside(relation="other-format", name=original[0])]


def is_adapter(location: Location) -> bool:
    """Whether the weights are those of an adapter, as PEFT names them."""
    return all(path.name.startswith("adapter_model.") for path in location.weights)


def _without_weights(folder: Folder, names: list[str], config: Path | None, variant: str | None) -> Location:
    variants = sorted({v for n in names if (v := variant_of(n))})
    if isinstance(folder, LocalFolder):
        found = _training(folder, names, config, variant)
    else:
        found = _distributed(folder, names, config)
    if found:
        return found
    if "model_index.json" in names:
        return _pipeline(folder, variant)
    if variant:
        known = f"the variants here are {', '.join(variants)}" if variants else "there are no variants here"
        raise UsageError(f"there is no variant {variant!r}", where=folder.where, hint=known)
    if variants:
        raise CheckpointError(
            f"has only variants ({', '.join(variants)})",
            where=folder.where,
            hint=f"choose with --variant {variants[0]}",
        )
    others = named(names)
    if config:
        unread = (f"no weights in a supported format: {others}",) if others else ()
        return Location(format="config", config=config, notes=unread)
    if others:
        raise NotImplementedByWeightscope(
            f"no weights in a supported format: {others}",
            where=folder.where,
            hint=converter_of(others) or "give a directory with .safetensors or .bin files",
        )
    if "adapter_config.json" in names:
        raise CheckpointError(
            "has the settings of an adapter, but not its weights",
            where=folder.where,
            hint="adapter_model.safetensors is missing: download it again",
            code="missing-shard",
        )
    if below := next((name for name in names if folder.holds(f"{name}/adapter_config.json")), ""):
        raise UsageError(
            f"the adapter here is in a folder of its own, {below}",
            where=folder.where,
            hint=f"give {folder.named(below)}",
        )
    from weightscope.checkpoint.nested import folder_with_weights

    below = folder_with_weights(folder.path) if isinstance(folder, LocalFolder) else ""
    raise UsageError(
        "no weights and no config.json here",
        where=folder.where,
        hint=f"there are weights in {below}: give {folder.named(below)}"
        if below
        else "give a directory with .safetensors or .bin files",
    )


def _pipeline(folder: Folder, variant: str | None) -> Location:
    """The weight files of all models of a diffusers pipeline, each in a folder of its own."""
    if not isinstance(folder, LocalFolder):
        raise NotImplementedByWeightscope(
            "a diffusers pipeline of several models, which is read from a disk only",
            where=folder.where,
            hint="download it first, or give the folder of one model, such as unet",
        )
    from weightscope.checkpoint.pipeline import read_index

    weights: list[Path] = []
    missing: list[str] = []
    notes: list[str] = []
    for part in read_index(folder):
        if not (folder.path / part.name).is_dir():
            missing.append(f"{part.name}/")
            continue
        names = os.listdir(folder.path / part.name)
        if any(format_by_name(name) or name.endswith(".index.json") for name in names):
            found = locate_in(LocalFolder(folder.path / part.name), variant)
            weights += found.weights
            missing += (f"{part.name}/{name}" for name in found.missing)
            notes += (f"{part.name}: {note}" for note in found.notes)
    if not weights:
        raise UsageError(
            "a diffusers pipeline without a weight file", where=folder.where, hint="is the download finished?"
        )
    return Location(format="pipeline", weights=tuple(weights), missing=tuple(missing), notes=tuple(notes))


def _distributed(folder: Folder, names: list[str], config: Path | None) -> Location | None:
    """A distributed checkpoint of torch that is elsewhere, in the folder itself."""
    from weightscope.checkpoint.locate_training import distributed_files

    files = distributed_files(names)
    return Location(format="dcp", weights=tuple(folder.path / name for name in files), config=config) if files else None


def _training(folder: LocalFolder, names: list[str], config: Path | None, variant: str | None) -> Location | None:
    """A model in the last step of a run, or in the parts that the ranks of a training run wrote."""
    from weightscope.checkpoint.locate_training import config_above, find_parts, last_step

    if step := last_step(folder.path, names):
        found = locate_in(LocalFolder(step), variant)
        note = f"{step.name} is read, the last step in {folder.path}"
        return msgspec.structs.replace(found, within=found.within or step, notes=(note, *found.notes))
    parts = None if variant else find_parts(folder)
    if parts is None or not parts[2]:
        return None
    held, place, files = parts
    where = place.relative_to(folder.path)
    notes = (f"read from {where.as_posix()}",) if where.parts else ()
    above = config or config_above(place, folder.path)
    if above and not config and not above.is_relative_to(folder.path):
        notes = (*notes, f"the config is that of the folder above, {above}")
    return Location(format=held, weights=tuple(place / name for name in files), config=above, notes=notes)
