"""How far the run is that wrote a distributed checkpoint: a number that its script saved beside the weights."""

from __future__ import annotations

from pathlib import Path

from weightscope.checkpoint.claims import is_path
from weightscope.checkpoint.dcp_metadata import Metadata, Span
from weightscope.checkpoint.pytorch import saved_in
from weightscope.checkpoint.pytorch_objects import StoredTensor, place
from weightscope.checkpoint.slices import LocalFile, Window
from weightscope.checkpoint.training import MAX_STEP, STEPS
from weightscope.errors import WeightscopeError

# Where scripts keep the step: at the top, or under the name of their own state (torchtitan's is `train_state`).
_STATES = ("", "train_state.", "trainer_state.", "trainer.", "app.", "state.", "extra_state.")
NAMES = tuple(f"{state}{step}" for state in _STATES for step in STEPS)
_INTEGERS = ("I32", "I64")


def step_of(metadata: Metadata, place_of_files: Path) -> int | None:
    """The step that is saved under one of the usual names, as a number or a tensor of one; None where there is none."""
    for name in NAMES:
        described = metadata.tensors.get(name)
        span = metadata.values.get(name) if described is None else next(iter(described.spans), None)
        step = _number(place_of_files, span) if span and is_path(span.file) else None
        if step is not None and 0 <= step < MAX_STEP:
            return step
    return None


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
