"""How far the run is that saved a checkpoint, and what it keeps beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.folder import LocalFolder
from weightscope.checkpoint.reader import Checkpoint

if TYPE_CHECKING:
    from weightscope.checkpoint.training import Training

# How the names begin of what transformers' Trainer and accelerate save beside the weights.
BESIDE = ("optimizer", "scheduler", "scaler", "rng_state", "random_states", "trainer_state")
MAX_FILES = 100_000


def run_state(checkpoint: Checkpoint) -> Training | None:
    """The state of a training run; None for a checkpoint that has none, or of which one file was named."""
    told = [file.training for file in checkpoint.files if file.training]
    known = checkpoint.training or (told[0] if told else None)
    if not checkpoint.whole or not isinstance(checkpoint.folder, LocalFolder) or not checkpoint.location.weights:
        return known
    beside = [name for name in checkpoint.folder.names()[:MAX_FILES] if name.startswith(BESIDE)]
    if not beside:
        return known
    from weightscope.analyses.run_files import with_files

    return with_files(known, checkpoint.folder.path, beside)
