"""Measure what reads the parts of 64 ranks: a distributed checkpoint, and DeepSpeed's ZeRO in stage 3."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from benchmarks.measure import WEIGHTSCOPE, Figure
from benchmarks.reading import compare

RANKS, TENSORS = 64, 1000
SHAPE = (4096, 512)
# Bytes of a block with its archive: what torch writes of [64, 512] in bfloat16.
ARCHIVE = 67_200
READ = "import sys; from torch.distributed.checkpoint import FileSystemReader as R; R(sys.argv[1]).read_metadata()"
LOAD = (
    "import pathlib, sys, torch\n"
    "for path in pathlib.Path(sys.argv[1]).rglob('*_states.pt'): torch.load(path, weights_only=False, mmap=True)"
)


def measure_training_runs(scratch: Path, rounds: int) -> list[Figure]:
    """`inspect` against torch itself reading the same: `.metadata`, or the ranks' files."""
    whole = f"{TENSORS:,} tensors of {RANKS} ranks"
    found = []
    for what, folder, peer in (
        (f"a distributed checkpoint, {whole}", distributed(scratch / "dcp"), READ),
        (f"ZeRO in stage 3, {whole}", zero(scratch / "zero"), LOAD),
    ):
        commands = {
            "inspect": (*WEIGHTSCOPE, "inspect", str(folder)),
            "torch": (sys.executable, "-c", peer, str(folder)),
        }
        found += compare(what, commands, {"torch": 1.0}, rounds)
    return found


def names() -> list[str]:
    """Those of a model of so many tensors."""
    return [f"model.layers.{number // 10}.part_{number % 10}.weight" for number in range(TENSORS)]


def distributed(folder: Path) -> Path:
    """A DCP folder whose files are holes."""
    folder.mkdir()
    described: dict[str, Any] = {}
    stored: dict[MetadataIndex, _StorageInfo] = {}
    rows = SHAPE[0] // RANKS
    for number, name in enumerate(names()):
        starts = [torch.Size((rank * rows, 0)) for rank in range(RANKS)]
        blocks = [ChunkStorageMetadata(start, torch.Size((rows, SHAPE[1]))) for start in starts]
        described[name] = TensorStorageMetadata(TensorProperties(torch.bfloat16), torch.Size(SHAPE), blocks)
        for rank, start in enumerate(starts):
            info = _StorageInfo(f"__{rank}_0.distcp", number * ARCHIVE, ARCHIVE)
            stored[MetadataIndex(name, start, rank)] = info
    for rank in range(RANKS):
        with (folder / f"__{rank}_0.distcp").open("wb") as file:
            file.truncate(TENSORS * ARCHIVE)
    planned = {name: ("model", name.removeprefix("model.")) for name in described}
    metadata = Metadata(described, planned, stored, StorageMeta(), "1.0.0")
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder


def zero(folder: Path) -> Path:
    """A folder as DeepSpeed saves it, of matrices of [8, 64]: headers cost what they cost for large ones."""
    step = folder / "global_step1"
    step.mkdir(parents=True)
    shape, run = torch.Size((8, 64)), 8
    shapes = OrderedDict((name, shape) for name in names())
    empty = {name: torch.empty(0, dtype=torch.bfloat16) for name in shapes}
    module = {"module": empty, "buffer_names": [], "param_shapes": [shapes], "shared_params": {}}
    for rank in range(RANKS):
        state = {
            "zero_stage": 3, "partition_count": RANKS, "fp32_flat_groups": [torch.zeros(run * TENSORS)],
            "optimizer_state_dict": {"state": {0: {"exp_avg": torch.zeros(run * TENSORS)}}},
        }  # fmt: skip
        torch.save({"optimizer_state_dict": state}, step / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
        torch.save(module, step / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    (folder / "latest").write_text("global_step1")
    return folder
