"""What the local Hugging Face cache holds: each model's size, family and parameters, and whether all of it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from weightscope.api.model import Model
from weightscope.api.opening import open_model
from weightscope.checkpoint.cached import Snapshot, cache_folder, snapshots
from weightscope.checkpoint.candidates import WEIGHT_SUFFIXES
from weightscope.checkpoint.reader import Progress
from weightscope.errors import WeightscopeError

State = Literal["complete", "partial", "no-weights", "unreadable"]


class CachedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of a model in the cache; `parameters` are what the config says where weights are missing."""

    reference: str
    bytes: int
    model_type: str | None
    family: str | None
    parameters: int | None
    complete: bool
    state: State
    detail: str
    path: str


class CacheContents(msgspec.Struct, frozen=True, kw_only=True):
    """All that `weightscope cache` says."""

    schema_version: int = 1
    cache: str
    bytes: int
    models: tuple[CachedModel, ...]


def take_stock(progress: Progress | None = None) -> CacheContents:
    """Every model of the cache, from headers alone."""
    found = list(snapshots())
    models = []
    for number, snapshot in enumerate(found):
        if progress:
            progress(number, len(found), snapshot.reference)
        models.append(_look(snapshot))
    return CacheContents(cache=str(cache_folder()), bytes=sum(one.bytes for one in models), models=tuple(models))


def checkable() -> tuple[list[Snapshot], list[str]]:
    """What can be checked, and the references of what has no weight file in the cache and cannot."""
    found = list(snapshots())
    return [one for one in found if _has_weights(one.path)], [o.reference for o in found if not _has_weights(o.path)]


def _look(snapshot: Snapshot) -> CachedModel:
    try:
        model = open_model(snapshot.path, tolerant=True)
    except WeightscopeError as error:
        return _cached(snapshot, None, "unreadable" if _has_weights(snapshot.path) else "no-weights", error.what)
    location = model.checkpoint.location
    total = len(location.weights) + len(location.missing)
    here = sum(path.is_file() for path in location.weights)
    if not here:
        what = "config and index only" if location.index else "config only" if location.config else ""
        return _cached(snapshot, _declared(model), "no-weights", what)
    if here < total:
        rest = "; a download was interrupted" if snapshot.interrupted else ""
        return _cached(snapshot, _declared(model), "partial", f"{here:,} of {total:,} weight files{rest}")
    if broken := [finding for finding in model.checkpoint.findings if finding.severity == "error"]:
        return _cached(snapshot, _declared(model), "unreadable", broken[0].message)
    if location.config is None:
        return _cached(snapshot, model, "partial", "no config.json")
    return _cached(snapshot, model, "complete", "")


def _has_weights(path: Path) -> bool:
    return any(file.is_file() for suffix in WEIGHT_SUFFIXES for file in path.rglob(f"*{suffix}"))


def _declared(model: Model) -> Model | None:
    """The model as config.json describes it: an incomplete set of weights gives no total."""
    config = model.checkpoint.location.config
    try:
        return open_model(config) if config else None
    except WeightscopeError:
        return None


def _cached(snapshot: Snapshot, model: Model | None, state: State, detail: str) -> CachedModel:
    return CachedModel(
        reference=snapshot.reference,
        bytes=snapshot.bytes,
        model_type=(model.config.model_type or None) if model and model.config else None,
        family=model.declaration.family.module if model and model.declaration else None,
        parameters=model.parameters.total if model else None,
        complete=state == "complete",
        state=state,
        detail=detail,
        path=str(snapshot.path),
    )
