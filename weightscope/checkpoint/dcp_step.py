"""How far the run is that wrote a distributed checkpoint: a number that its script saved beside the weights."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.dcp_metadata import Metadata, Span
from weightscope.checkpoint.pytorch import saved_in
from weightscope.checkpoint.pytorch_objects import StoredTensor, place
from weightscope.checkpoint.slices import LocalFile, Window
from weightscope.checkpoint.training import MAX_STEP, STEPS, words_in
from weightscope.errors import WeightscopeError

# Where scripts keep the step: at the top, or under the name of their own state (torchtitan's is `train_state`).
_STATES = ("", "train_state.", "trainer_state.", "trainer.", "app.", "state.", "extra_state.")
NAMES = tuple(f"{state}{step}" for state in _STATES for step in STEPS)
_INTEGERS = ("I32", "I64")
# Words of any other name that may be the step's, words that make it another number, and how many names are tried.
_WORDS = frozenset(("step", "steps", "iter", "iters", "iteration", "iterations", "updates", "batches"))
_OTHERS = frozenset(
    ("max", "min", "total", "num", "per", "every", "warmup", "save", "eval", "log", "interval", "accumulation", "last",
     "size", "decay", "start", "end", "epoch", "model", "optimizer", "optimizers", "optim", "scheduler", "schedulers")
)  # fmt: skip
MAX_TRIED = 16


def step_of(metadata: Metadata, place_of_files: Path) -> int | None:
    """The step that is saved, as a number or a tensor of one; None where there is none.

    It has a usual name, or is the only such number whose name has a word for it.
    """
    for name in NAMES:
        step = _saved(metadata, name, place_of_files)
        if step is not None:
            return step
    others = [name for name in _single(metadata) if _may_be_step(name)]
    found = {_saved(metadata, name, place_of_files) for name in others[:MAX_TRIED]} - {None}
    return found.pop() if len(found) == 1 and len(others) <= MAX_TRIED else None


def _single(metadata: Metadata) -> Iterator[str]:
    """The names of what is one value."""
    yield from metadata.values
    yield from (name for name, described in metadata.tensors.items() if prod(described.shape) == 1)


def _may_be_step(name: str) -> bool:
    """Whether a name of the script's own is one for a step: `trainer.current_step`, not `trainer.max_steps`."""
    last = words_in(name.rpartition(".")[2])
    return bool(_WORDS & last) and not _OTHERS & words_in(name)


def _saved(metadata: Metadata, name: str, folder: Path) -> int | None:
    """The number saved under a name; None for anything that is no step."""
    described = metadata.tensors.get(name)
    span = metadata.values.get(name) if described is None else next(iter(described.spans), None)
    step = _number(folder, span) if span and is_path(span.file) else None
    return step if step is not None and 0 <= step < MAX_STEP else None


def _number(folder: Path, span: Span) -> int | None:
    """The integer that torch.save wrote there; what cannot be read is no step."""
    path = folder / span.file
    try:
        with LocalFile(path) as whole:
            if span.start + span.length > len(whole):
                return None
            data = Window(whole, span.start, span.start + span.length)
            saved = saved_in(data, path)
            top = saved.top
            if isinstance(top, StoredTensor) and top.dtype in _INTEGERS and top.count == 1:
                entry = place("step", top, saved.blocks([top.storage.key])[top.storage.key], path)
                start, stop = entry.data_offsets
                return int.from_bytes(bytes(data[start:stop]), "little", signed=True)
    except (WeightscopeError, OSError):
        return None
    return top if type(top) is int else None
