"""Write a full-size checkpoint that takes no disk: real headers, index and config over files whose data is a hole."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

from weightscope.checkpoint.dtypes import SAFETENSORS_BITS
from weightscope.components.walk import Slot
from weightscope.config import read_config
from weightscope.families.declaration import Declaration, declare
from weightscope.roles import Role
from weightscope.storage.base import Kind

SHARD_BYTES = 5_000_000_000
# DeepSeek's count is wider than its numbers: model-00001-of-000163.safetensors.
COUNT_WIDTHS = {"deepseek_v3": 6}
# Of several element types the first that is there.
SCALE_DTYPES, WEIGHT_DTYPES = ("F32", "F8_E4M3", "F8_E8M0", "U8", "F16"), ("F8_E4M3", "U8", "U32", "I32", "I8")


class Tensor(NamedTuple):
    """One tensor to be written."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return prod(self.shape) * SAFETENSORS_BITS[self.dtype] // 8


def write_ghost(config_path: Path, directory: Path, shards: int | None = None) -> list[Path]:
    """The weight files of a ghost of the config's model; `directory` is created."""
    config = read_config(config_path)
    declaration = declare(config)
    if declaration is None:
        raise SystemExit(f"{config_path}: model type {config.model_type!r} is not declared")
    if any(slot.stored.opaque for slot in declaration.slots):
        raise SystemExit(f"{config_path}: tensors of its quantization have no shapes of their own")
    tensors = ghost_tensors(declaration)
    total = sum(tensor.bytes for tensor in tensors)
    count = shards or -(-total // SHARD_BYTES)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_bytes(config_path.read_bytes())
    if count == 1:
        paths = [directory / "model.safetensors"]
        write_shard(paths[0], tensors)
        return paths
    width = COUNT_WIDTHS.get(config.model_type, 5)
    paths = [directory / f"model-{n:05d}-of-{count:0{width}d}.safetensors" for n in range(1, count + 1)]
    weight_map: dict[str, str] = {}
    for path, members in zip(paths, divide(tensors, count), strict=True):
        write_shard(path, members)
        weight_map.update((tensor.name, path.name) for tensor in members)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (directory / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return paths


def ghost_tensors(declaration: Declaration) -> list[Tensor]:
    """What a publisher stores: all that is required and token-prediction layers; no tied heads or rotary tables."""
    slots = {
        name: slot
        for slot in declaration.slots
        if not slot.stored.optional or (slot.auxiliary and slot.stored.kind is not Kind.BUFFER)
        for name in slot.names()
    }
    return [
        Tensor(name, _dtype(slot), tuple(map(int, slot.stored.shape)))
        for name, slot in sorted(slots.items(), key=lambda item: _by_layer(item[0]))
    ]


def divide(tensors: Sequence[Tensor], count: int) -> Iterator[list[Tensor]]:
    """Exactly `count` runs of tensors, about equally many bytes in each."""
    if count > len(tensors):
        raise SystemExit(f"{len(tensors):,} tensors do not fill {count:,} shards")
    left, start = sum(tensor.bytes for tensor in tensors), 0
    for behind in range(count - 1, -1, -1):
        target, size, stop = left / (behind + 1), 0, start
        while stop == start or (stop < len(tensors) - behind and (size < target or not behind)):
            size += tensors[stop].bytes
            stop += 1
        yield list(tensors[start:stop])
        left, start = left - size, stop


def write_shard(path: Path, tensors: Sequence[Tensor]) -> None:
    """One file as safetensors' own writer lays it out: widest dtypes first, then by name."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in sorted(tensors, key=lambda t: (-SAFETENSORS_BITS[t.dtype], t.name)):
        start, end = end, end + tensor.bytes
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def _dtype(slot: Slot) -> str:
    """What writers use, of several element types that a quantized weight's tensors may have."""
    stored = slot.stored
    if stored.dtypes:
        order = SCALE_DTYPES if stored.kind is Kind.SCALE else WEIGHT_DTYPES
        return min(stored.dtypes, key=lambda dtype: (order.index(dtype) if dtype in order else len(order), dtype))
    return "F32" if stored.kind is Kind.SCALE or stored.parts[0][0] is Role.ROUTER_BIAS else "BF16"


def _by_layer(name: str) -> list[tuple[int, str]]:
    """Numbers as numbers, so that layer 10 comes after layer 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def main() -> None:
    """Write the ghost that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="a config.json of a declared family")
    parser.add_argument("directory", type=Path, help="where the checkpoint is written")
    parser.add_argument("--shards", type=int, help=f"how many files (default: one for each {SHARD_BYTES:,} bytes)")
    arguments = parser.parse_args()
    paths = write_ghost(arguments.config, arguments.directory, arguments.shards)
    print(f"{len(paths):,} files, {sum(path.stat().st_size for path in paths):,} bytes, nearly all of them holes")


if __name__ == "__main__":
    main()
