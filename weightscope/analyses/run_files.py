"""What transformers' Trainer and accelerate save in files of their own beside the weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from weightscope.checkpoint.training import MAX_STEP, Part, Training, kind_of, optimizer_of
from weightscope.errors import WeightscopeError

# `optimizer_0` is a folder of FSDP's.
_PARTS = re.compile(
    r"(?:optimizer|scheduler|scaler)(?:_\d{1,4})?\.(?:pt|bin)|optimizer_\d{1,4}|rng_state(?:_(?P<rank>\d{1,6}))?\.pth|random_states_\d+\.pkl"
)
STATE = "trainer_state.json"
MAX_STATE = 1 << 26


class TrainerState(msgspec.Struct, frozen=True):
    """The two fields of trainer_state.json that say how far the run is."""

    global_step: Annotated[int, msgspec.Meta(ge=0, le=MAX_STEP)] | None = None
    epoch: float | None = None


def with_files(known: Training | None, place: Path, names: Collection[str]) -> Training | None:
    """What is `known` of a run, and what the files of these names say of it; None where nothing says anything."""
    ranks = {name: match["rank"] for name in names if (match := _PARTS.fullmatch(name))}
    parts = tuple(_parts(place, ranks))
    state = _state(place / STATE) if STATE in names else None
    if not parts and state is None:
        return known
    numbers = [int(rank) for rank in ranks.values() if rank]
    kept = (*(known.parts if known else ()), *parts)
    return Training(
        writer=(known.writer if known else None) or ("transformers' Trainer" if STATE in names else None),
        step=state.global_step if state else known.step if known else None,
        epoch=state.epoch if state else known.epoch if known else None,
        world_size=known.world_size if known and known.world_size else max(numbers) + 1 if numbers else None,
        optimizer=optimizer_of(kept),
        parts=kept,
    )


def _parts(place: Path, names: Iterable[str]) -> Iterator[Part]:
    """What lies in files, or in a folder, of its own; of one that cannot be read, only its size is said."""
    for name in names:
        path = place / name
        try:
            if path.is_dir():
                yield from _of_folder(path)
            elif path.is_file():
                yield _of_file(path)
        except (WeightscopeError, OSError):
            yield Part(name=name, kind=kind_of(name), tensors=0, bytes=path.stat().st_size if path.is_file() else 0)


def _of_file(path: Path) -> Part:
    from weightscope.checkpoint.pytorch_opened import open_saved

    opened = open_saved(path, 0, file_format="pytorch")
    return opened.part(path.name, opened.top)


def _of_folder(path: Path) -> tuple[Part, ...]:
    from weightscope.checkpoint.dcp import METADATA, state_beside

    return state_beside(path) if (path / METADATA).is_file() else ()


def _state(path: Path) -> TrainerState | None:
    if path.stat().st_size > MAX_STATE:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrainerState)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
