"""Which GGUF files of a folder make up one model: a single file, or the parts that it was split into."""

from __future__ import annotations

import re
from collections.abc import Iterable

from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.location import Location
from weightscope.checkpoint.sets import SHARD, Numbered, numbered_sets
from weightscope.errors import CheckpointError, UsageError

# What llama.cpp keeps beside a model: vision and audio parts, importance matrices, draft models' adapters.
BESIDE = re.compile(r"(?i)(.*[-._])?(mmproj|imatrix|control[-_]vector)([-._].*)?\.gguf")
# The file type that llama.cpp's tools put at the end of a name.
FILE_TYPE = re.compile(r"(?i)(?:UD-)?(?:I?Q[0-9]|TQ[0-9]|BF16|F16|F32|MXFP4|NVFP4)[0-9A-Z_]*")


def of_one(folder: Folder, name: str) -> Location:
    """The model of one file; a part stands for all parts, since only the first one has the metadata."""
    shard = SHARD.fullmatch(name)
    if shard is None:
        return Location(format="gguf", weights=(folder.path / name,))
    alike = [other for other in folder.names() if (m := SHARD.fullmatch(other)) and _set_of(m) == _set_of(shard)]
    return _location(folder, numbered_sets(alike)[0])


def of_folder(folder: Folder, names: list[str], variant: str | None) -> Location:
    """The one model among these files; `variant` is a part of the name, such as `Q4_K_M`.

    Raises:
        CheckpointError: several models, and nothing says which is meant.
        UsageError: none has that variant.
    """
    models = _models([name for name in names if not BESIDE.fullmatch(name)] or names)
    if variant:
        word = re.compile(rf"(?i)(?<![0-9A-Z_]){re.escape(variant)}(?![0-9A-Z_])")
        models, others = [model for model in models if word.search(model.names[0])], models
        if not models:
            raise UsageError(
                f"there is no variant {variant!r}", where=folder.where, hint=f"the files here are {_shown(others)}"
            )
    if len(models) > 1:
        types = [match[-1] for model in models if (match := FILE_TYPE.findall(model.names[0]))]
        choose = f", or choose with --variant {types[0]}" if len(set(types)) == len(models) and not variant else ""
        raise CheckpointError(
            f"has {len(models):,} GGUF models ({_shown(models)})",
            where=folder.where,
            hint=f"give the path of one of them{choose}",
        )
    return _location(folder, models[0])


def _models(names: list[str]) -> list[Numbered]:
    """Sets of parts, and single files, by name."""
    sets = numbered_sets(names)
    taken = {name for found in sets for name in found.names}
    single = [Numbered(names=(name,), missing=()) for name in names if name not in taken]
    return sorted([*sets, *single], key=lambda model: model.names[0])


def _location(folder: Folder, model: Numbered) -> Location:
    return Location(
        format="gguf", weights=tuple(folder.path / name for name in sorted(model.names)), missing=model.missing
    )


def _set_of(match: re.Match[str]) -> tuple[str | None, ...]:
    return match["stem"], match["count"], match["variant"], match["suffix"]


def _shown(models: Iterable[Numbered]) -> str:
    names = [model.names[0] for model in models]
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
