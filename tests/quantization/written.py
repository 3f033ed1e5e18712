"""What libraries wrote (fixtures/quantized): one matrix a variant, its tensors and what the library makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open

from weightscope.checkpoint.dtypes import TORCH_NAMES
from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import Config
from weightscope.quantization.registry import method_of, recognize
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Scheme, Stored

HERE = Path(__file__).parents[2] / "fixtures" / "quantized"
MODULE = "model.layers.0.mlp.up_proj"


class Written(NamedTuple):
    """A matrix in a method's form: the settings, its tensors by mark (`.qweight`), the matrix by the library."""

    settings: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    expected: torch.Tensor

    def raw(self, name: str) -> torch.Tensor:
        """A tensor of the module by its full name; a KeyError where it is not there."""
        return self.tensors[name.removeprefix(MODULE)]


def variants(file: str) -> dict[str, Written]:
    """All of one file, by title."""
    with safe_open(HERE / f"{file}.safetensors", "pt") as opened:
        settings = _settings(opened.metadata())
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    found = {}
    for title, own in settings.items():
        mine = {name[len(title) :]: t for name, t in tensors.items() if name.startswith(f"{title}.")}
        found[title] = Written(own, mine, mine.pop(".expected"))
    return found


def _settings(metadata: dict[str, str]) -> dict[str, dict[str, Any]]:
    """By title; compressed-tensors' are one group each."""
    if "groups" not in metadata:
        found: dict[str, dict[str, Any]] = json.loads(metadata["settings"])
        return found
    around = {"quant_method": "compressed-tensors", "format": "mixed-precision"}
    groups = json.loads(metadata["groups"])
    return {title: around | {"config_groups": {"group_0": group}} for title, group in groups.items()}


def weight_of(shape: torch.Size | tuple[int, ...], *, transposed: bool = False) -> Stored:
    """A declared weight of that shape."""
    sizes = tuple(map(Size, shape))
    parts = ((Role.UP_PROJ, sizes[0] * sizes[1]),)
    return Stored(name=f"{MODULE}.weight", shape=sizes, parts=parts, transposed=transposed)


def scheme_of(written: Written) -> Scheme:
    """The scheme that the settings give a weight of the expected shape; quanto's are in a file of their own."""
    named = "quant_method" in written.settings
    config = Config({"quantization_config": written.settings} if named else {})
    method = method_of(config, lambda file: None if named or file != "quanto_qmap.json" else written.settings).method
    assert method is not None
    assert not method.missing
    scheme = method.scheme(weight_of(written.expected.shape), MODULE)
    assert scheme is not None
    return scheme


def check_written(written: Written, *, optional: bool = True) -> None:
    """Names, shapes and element types are those that the library writes, and the matrix what it makes of them."""
    scheme = scheme_of(written)
    stored = {part.name.removeprefix(MODULE): part for part in scheme.expand(weight_of(written.expected.shape))}
    assert [part.removeprefix(MODULE) for part in scheme.parts(f"{MODULE}.weight")] == list(stored)
    assert written.tensors.keys() <= stored.keys()
    assert optional or stored.keys() == written.tensors.keys()
    for mark, part in stored.items():
        if mark not in written.tensors:
            assert part.optional, mark
            continue
        tensor = written.tensors[mark]
        assert part.opaque or tuple(tensor.shape) == tuple(part.shape), mark
        assert not part.dtypes or TORCH_NAMES[str(tensor.dtype).removeprefix("torch.")] in part.dtypes, mark
    read = scheme.read(f"{MODULE}.weight", written.raw)
    torch.testing.assert_close(read, written.expected, rtol=0, atol=0)


def told(
    written: Written, *names: str, shape: tuple[int, ...] | None = None, settings: dict[str, Any] | None = None
) -> tuple[Scheme, tuple[int, ...]] | None:
    """What the tensors alone tell the methods of these names."""
    entries = {
        mark: TensorEntry(TORCH_NAMES[str(t.dtype).removeprefix("torch.")], tuple(t.shape), (0, t.nbytes))
        for mark, t in written.tensors.items()
    }
    found = recognize(names, entries, shape=shape, settings=settings)
    return None if found is None else (found.scheme, found.shape)
