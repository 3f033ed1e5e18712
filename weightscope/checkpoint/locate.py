"""From what a user names to the files that are meant: a directory, a weight file, an index, a config."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.index import Index, read_index
from weightscope.checkpoint.limits import MAX_SHARDS
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError

WEIGHT_SUFFIXES = {".safetensors": "safetensors", ".bin": "pytorch", ".pt": "pytorch", ".pth": "pytorch"}
# The names that transformers and diffusers write, looked for before any other.
BASES = ("model", "pytorch_model", "diffusion_pytorch_model")
# What training loops leave beside the weights (transformers' Trainer), never a model.
NOT_WEIGHTS = re.compile(
    r"(training_args|optimizer|scheduler|scaler|rng_state.*|adapter_model)\.(bin|pt|pth|safetensors)"
)
SHARD = re.compile(
    r"(?P<stem>.+?)[-_](?P<number>[0-9]{1,9})-of-(?P<count>[0-9]{1,9})(?P<variant>\.[\w-]+)?\.(?P<suffix>\w+)"
)
VARIANT = re.compile(
    r"(?:diffusion_pytorch_|pytorch_)?model\.(?!safetensors|bin)([\w-]+?)(?:-\d+-of-\d+)?\.(?:safetensors|bin)"
)


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """The files that make up what was named.

    `format` is safetensors, pytorch, index (an index and none of its shards) or config. `weights` lists the weight
    files in reading order, `missing` the shards that should be there. `notes` say in words what was chosen over what.
    """

    format: str
    weights: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()
    index: Index | None = None
    config: Path | None = None
    notes: tuple[str, ...] = ()


def locate(path: Path, variant: str | None = None) -> Location:
    """What a path here means as a model; nothing but names is looked at, except to list an index's shards.

    Raises:
        UsageError: no such path, or nothing here that could be a model.
        CheckpointError: several candidates, or only variants, without a word on which is meant.
    """
    if path.is_dir():
        return locate_in(LocalFolder(path), variant)
    if not path.exists():
        raise UsageError("no such file or directory", where=path, hint="check the path" + _hub_hint(path))
    if not path.is_file():
        raise UsageError("neither a file nor a directory", where=path)
    return locate_file(LocalFolder(path.parent), path.name, variant)


def locate_file(folder: Folder, name: str, variant: str | None = None) -> Location:
    """The same of one file of a folder, wherever that is."""
    where, suffix = folder.named(name), Path(name).suffix
    if variant:
        raise UsageError("--variant chooses within a directory, and this is a file", where=where, hint="leave it out")
    if name.endswith(".index.json") or re.search(r"\.index\.[\w-]+\.json$", name):
        return from_index(folder, name, alone=True)
    if suffix == ".json":
        return Location(format="config", config=folder.fetch(name))
    if suffix not in WEIGHT_SUFFIXES:
        raise NotImplementedByWeightscope(
            f"{suffix or 'a file without suffix'} is not read",
            where=where,
            hint="weightscope reads .safetensors, .bin, .pt, .pth, *.index.json and config.json",
        )
    return Location(format=WEIGHT_SUFFIXES[suffix], weights=(folder.path / name,), config=_sibling_config(folder))


def from_index(folder: Folder, name: str, *, alone: bool = False) -> Location:
    """The shards an index names; `alone` takes an index with none of them beside it as names only."""
    index = read_index(folder.fetch(name))
    shards = index.shards
    present = {shard: folder.path / shard for shard in shards if folder.holds(shard)}
    config = _sibling_config(folder)
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


def locate_in(folder: Folder, variant: str | None = None) -> Location:
    """The same of a whole folder, wherever that is."""
    names = folder.names()
    if not names:
        raise UsageError("an empty directory", where=folder.where, hint="is the download finished?")
    config = folder.fetch("config.json") if "config.json" in names else None
    by_format = {
        held: _candidates(folder, [n for n in names if Path(n).suffix in suffixes], names, suffixes[0], variant)
        for held, suffixes in (("safetensors", (".safetensors",)), ("pytorch", (".bin", ".pt", ".pth")))
    }
    chosen = by_format["safetensors"] or by_format["pytorch"]
    if chosen is None:
        return _without_weights(folder, names, config, variant)
    notes = chosen.notes
    if by_format["safetensors"] and (other := by_format["pytorch"]):
        what = other.index.path.name if other.index else ", ".join(p.name for p in other.weights)
        notes += (f"{what} is here too; safetensors is read, as loaders do",)
    return msgspec.structs.replace(chosen, config=config, notes=notes)


def _candidates(
    folder: Folder, weights: list[str], names: list[str], suffix: str, variant: str | None
) -> Location | None:
    """The weight files of one format in a directory: by index, by a usual name, by shard numbers, or the only one."""
    for base in BASES:
        single = f"{base}.{variant}{suffix}" if variant else f"{base}{suffix}"
        for index in _index_names(base, suffix, variant):
            if index in names:
                return _unless_single(folder, from_index(folder, index), single)
        if single in names:
            return Location(format=WEIGHT_SUFFIXES[suffix], weights=(folder.path / single,))
    if variant is None:
        others = [
            n for n in names if n.endswith(f"{suffix}.index.json") and not _variant_of(n.removesuffix(".index.json"))
        ]
        if len(others) == 1:
            return from_index(folder, others[0])
    usable = [n for n in weights if not NOT_WEIGHTS.fullmatch(n) and _variant_of(n) == variant]
    # Mistral publishes its own `consolidated` spelling beside the one for everyone else.
    usable = [n for n in usable if not n.startswith("consolidated")] or usable
    usable = usable or [n for n in weights if n.startswith("adapter_model.")]
    if not usable:
        return None
    return _numbered(folder, usable) or _only(folder, usable)


def _unless_single(folder: Folder, indexed: Location, single: str) -> Location:
    """The shards, or the whole model in one file where that lies beside an index that does not name it."""
    if indexed.index is None or not folder.holds(single) or single in indexed.index.shards:
        return indexed
    note = f"{indexed.index.path.name} is here too; {single} is read, as loaders do"
    return Location(format=WEIGHT_SUFFIXES[Path(single).suffix], weights=(folder.path / single,), notes=(note,))


def _index_names(base: str, suffix: str, variant: str | None) -> tuple[str, ...]:
    if not variant:
        return (f"{base}{suffix}.index.json",)
    # transformers and diffusers put the variant before .json; older diffusers put it after the base.
    return (f"{base}{suffix}.index.{variant}.json", f"{base}.{variant}{suffix}.index.json")


def _variant_of(name: str) -> str | None:
    match = VARIANT.fullmatch(name)
    shard = SHARD.fullmatch(name)
    if shard and shard["variant"]:
        return shard["variant"][1:]
    return match[1] if match else None


def _numbered(folder: Folder, names: list[str]) -> Location | None:
    """Shards without an index, told by their `-00001-of-00004`."""
    matches = [m for m in map(SHARD.fullmatch, names) if m]
    if len(matches) != len(names) or len({(m["stem"], m["count"], m["suffix"]) for m in matches}) != 1:
        return None
    first, numbers = matches[0], {int(m["number"]) for m in matches}
    count, width = int(first["count"]), len(first["number"])
    if count > MAX_SHARDS:
        return None
    start, end = first.span("number")
    expected = range(count) if 0 in numbers else range(1, count + 1)
    missing = [f"{first.string[:start]}{n:0{width}d}{first.string[end:]}" for n in expected if n not in numbers]
    return Location(
        format=WEIGHT_SUFFIXES[f".{first['suffix']}"],
        weights=tuple(folder.path / n for n in names),
        missing=tuple(missing),
        notes=("no index file: shards are told by their numbers",),
    )


def _only(folder: Folder, names: list[str]) -> Location:
    if len(names) > 1:
        shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        raise CheckpointError(
            f"holds {len(names)} weight files and nothing says which are meant ({shown})",
            where=folder.where,
            hint="name one of the files",
        )
    return Location(format=WEIGHT_SUFFIXES[Path(names[0]).suffix], weights=(folder.path / names[0],))


def _without_weights(folder: Folder, names: list[str], config: Path | None, variant: str | None) -> Location:
    variants = sorted({v for n in names if (v := _variant_of(n))})
    if variant:
        known = f"there are: {', '.join(variants)}" if variants else "it holds none"
        raise UsageError(f"holds no variant {variant!r}", where=folder.where, hint=known)
    if variants:
        raise CheckpointError(
            f"holds only variants ({', '.join(variants)})",
            where=folder.where,
            hint=f"choose with --variant {variants[0]}",
        )
    if "model_index.json" in names:
        raise NotImplementedByWeightscope(
            "a diffusers pipeline of several models",
            where=folder.where,
            hint="name one of its folders, such as its unet",
        )
    foreign = [n for n in names if Path(n).suffix in (".gguf", ".h5", ".msgpack", ".onnx", ".ckpt")]
    if foreign and config is None:
        raise NotImplementedByWeightscope(f"{foreign[0]} is not a format that weightscope reads", where=folder.where)
    if config:
        return Location(format="config", config=config)
    raise UsageError(
        "no weights and no config.json here",
        where=folder.where,
        hint="name a directory that holds .safetensors or .bin files",
    )


def _sibling_config(folder: Folder) -> Path | None:
    return folder.fetch("config.json") if folder.holds("config.json") else None


def _hub_hint(path: Path) -> str:
    is_file = path.suffix in (*WEIGHT_SUFFIXES, ".json")
    lone = len(path.parts) == 1 and path.parts[0] not in (".", "..", "/") and not is_file
    return "; a model on the Hugging Face Hub is named as org/name" if lone else ""
