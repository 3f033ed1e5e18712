"""MXFP4 of stacked experts against what transformers dequantizes."""

from __future__ import annotations

import pytest
import torch

from weightscope.config import Config
from weightscope.quantization.registry import method_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Scheme, Stored

NAME = "mlp.experts.up"


def scheme_of(weight: Stored, module: str = NAME, excluded: tuple[str, ...] = ()) -> Scheme | None:
    settings = {"quant_method": "mxfp4", "modules_to_not_convert": excluded}
    method = method_of(Config({"quantization_config": settings}))
    assert method is not None
    return method.scheme(weight, module)


def stacked(experts: int, columns: int, rows: int) -> Stored:
    shape = (Size(experts), Size(columns, "hidden_size"), Size(rows))
    return Stored(name=NAME, shape=shape, parts=((Role.UP_PROJ, experts * rows * columns),))


@pytest.mark.parametrize(("experts", "rows", "columns"), [(3, 6, 64), (1, 2, 32), (5, 4, 96)])
def test_reads_what_transformers_dequantizes(experts: int, rows: int, columns: int) -> None:
    """Every code and a wide range of exponents, whole and one expert at a time."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    noise = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8, generator=noise)
    scales = torch.randint(90, 160, (experts, rows, columns // 32), dtype=torch.uint8, generator=noise)
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    weight = stacked(experts, columns, rows)
    scheme = scheme_of(weight)
    assert scheme is not None
    tensors = dict(zip(scheme.parts(NAME), (blocks, scales), strict=True))
    torch.testing.assert_close(scheme.read(NAME, tensors.__getitem__), expected, rtol=0, atol=0)
    last = scheme.read(NAME, lambda name: tensors[name][experts - 1 :])
    torch.testing.assert_close(last, expected[experts - 1 :], rtol=0, atol=0)
    packed, scale = scheme.expand(weight)
    assert {part.name: tuple(part.shape) for part in (packed, scale)} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert (packed.kind, packed.logical, scale.kind) == (Kind.WEIGHT, experts * rows * columns, Kind.SCALE)
    assert packed.dtypes == scale.dtypes == frozenset({"U8"})
    assert scale.shape[2].text == "hidden_size/32"


def test_packs_stacked_experts_alone() -> None:
    matrix = Stored(name="mlp.up.weight", shape=(Size(32), Size(32)), parts=((Role.UP_PROJ, 1024),))
    assert scheme_of(matrix, "mlp.up") is None


@pytest.mark.parametrize(("excluded", "packs"), [("model.layers.*.mlp.router", True), ("model.layers.1.mlp", False)])
def test_leaves_out_the_experts_of_excluded_modules(excluded: str, packs: bool) -> None:
    scheme = scheme_of(stacked(2, 32, 4), "model.layers.1.mlp.experts.up", (excluded,))
    assert (scheme is not None) is packs
