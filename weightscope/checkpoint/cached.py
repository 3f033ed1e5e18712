"""The local Hugging Face cache: which commits it has, and whether all of a model is there.

Its layout is documented: `models--org--name` holds `refs/REVISION` (a commit), `snapshots/COMMIT` (links), `blobs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from weightscope.checkpoint.claims import is_hash, is_path
from weightscope.checkpoint.folder import Folder, LocalFolder
from weightscope.checkpoint.hub_settings import settings
from weightscope.checkpoint.locate import is_adapter, locate_file, locate_in
from weightscope.checkpoint.location import Location
from weightscope.checkpoint.reference import MAIN, HubReference
from weightscope.errors import WeightscopeError

REPO_FOLDER = "models--"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of a repository as far as it is in the cache; `reference` is the shortest name that means it."""

    reference: str
    path: Path
    bytes: int
    interrupted: bool


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads: HF_HUB_CACHE, or below HF_HOME."""
    return Path(settings().HF_HUB_CACHE)


def is_offline() -> bool:
    """Whether the user wants no network."""
    return bool(settings().HF_HUB_OFFLINE)


def repo_folder(repo: str) -> Path:
    """Where the cache has a repository, if it has it."""
    return cache_folder() / (REPO_FOLDER + repo.replace("/", "--"))


def snapshot(repo: str, commit: str) -> Path:
    """The folder of a commit, where there is one."""
    return repo_folder(repo) / "snapshots" / commit


def cached_commit(reference: HubReference) -> str | None:
    """The commit that a revision was when the cache last heard of it, if anything of that is here."""
    revision = reference.revision
    if not is_hash(revision):
        if not is_path(revision):
            return None
        try:
            revision = (repo_folder(reference.repo) / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
    return revision if is_hash(revision) and snapshot(reference.repo, revision).is_dir() else None


def complete(folder: Folder, name: str, variant: str | None) -> bool:
    """Whether config and all weight files that are meant are here."""
    try:
        location = locate_file(folder, name, variant) if name else locate_in(folder, variant)
    except WeightscopeError:
        return False
    return is_complete(location)


def is_complete(location: Location) -> bool:
    """Whether config and all weight files are here; a link to a blob that is gone is none.

    An adapter has no config, and a GGUF is its own.
    """
    here = all(path.is_file() for path in location.weights)
    described = location.config is not None or location.format == "gguf" or is_adapter(location)
    return location.complete and here and described


def in_cache(reference: HubReference, variant: str | None = None, *, partly: bool = False) -> tuple[Folder, str] | None:
    """The folder and file that a reference means, if the cache has all of it, or any of it where that will do."""
    commit = cached_commit(reference)
    if commit is None:
        return None
    root = snapshot(reference.repo, commit)
    place, name = root / reference.name, ""
    if reference.name and not place.is_dir():
        place, name = place.parent, place.name
    folder = LocalFolder(place, notes=(f"from the local Hugging Face cache, commit {commit[:7]}",))
    return (folder, name) if complete(folder, name, variant) or (partly and place.is_dir()) else None


def cached_repos() -> list[str]:
    """The names of all models in the cache, whatever of them is there."""
    folders = sorted(cache_folder().glob(f"{REPO_FOLDER}*"))
    return [folder.name.removeprefix(REPO_FOLDER).replace("--", "/") for folder in folders]


def snapshots() -> Iterator[Snapshot]:
    """All commits of models in the cache, by name."""
    root = cache_folder()
    for folder in sorted(root.glob(f"{REPO_FOLDER}*")) if root.is_dir() else ():
        repo = folder.name.removeprefix(REPO_FOLDER).replace("--", "/")
        refs = {path.read_text(errors="replace").strip(): path for path in _files(folder / "refs")}
        interrupted = any(path.suffix == ".incomplete" for path in _files(folder / "blobs"))
        for path in sorted(folder.glob("snapshots/*")):
            if path.is_dir():
                ref = refs.get(path.name)
                revision = ref.relative_to(folder / "refs").as_posix() if ref else path.name
                yield Snapshot(
                    reference=HubReference(repo=repo, revision=revision).title if revision != MAIN else repo,
                    path=path,
                    bytes=_size(path),
                    interrupted=interrupted,
                )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _size(folder: Path) -> int:
    """Bytes of the files behind the links, each once."""
    found = (path.stat() for path in _files(folder))
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in found}.values())
