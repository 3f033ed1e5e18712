"""Experts in one tensor: each layout by hand, whole and one at a time."""

from __future__ import annotations

import pytest
import torch

from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind
from weightscope.storage.stacked import Stacked

EXPERTS, OUT, IN = 3, 2, 5
SIZES = {role: (Size(EXPERTS), Size(OUT), Size(IN)) for role in (Role.GATE_PROJ, Role.UP_PROJ)}
GATE = torch.arange(EXPERTS * OUT * IN, dtype=torch.float32).reshape(EXPERTS, OUT, IN)
UP = GATE + 1000
LAYOUTS = {
    "in turn": (Stacked("w", Role.GATE_PROJ, Role.UP_PROJ), torch.cat((GATE, UP), dim=1)),
    "transposed": (
        Stacked("w", Role.GATE_PROJ, Role.UP_PROJ, transposed=True),
        torch.cat((GATE, UP), dim=1).transpose(1, 2).contiguous(),
    ),
    "alternating": (
        Stacked("w", Role.GATE_PROJ, Role.UP_PROJ, transposed=True, alternating=True),
        torch.stack((GATE, UP), dim=2).flatten(1, 2).transpose(1, 2).contiguous(),
    ),
    "flat": (Stacked("w", Role.GATE_PROJ, flat=True), GATE.flatten(0, 1)),
    "flat, transposed": (
        Stacked("w", Role.GATE_PROJ, flat=True, transposed=True),
        GATE.transpose(1, 2).flatten(0, 1).contiguous(),
    ),
}


class Files:
    """A scope that counts the elements it hands out."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors
        self.read = 0

    def tensor(self, name: str) -> torch.Tensor:
        self.read += self.tensors[name].numel()
        return self.tensors[name]

    def rows(self, name: str, index: slice) -> torch.Tensor:
        part = self.tensors[name][index]
        self.read += part.numel()
        return part

    def has(self, name: str) -> bool:
        return name in self.tensors


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_each_role_its_matrices(layout: str) -> None:
    item, stored = LAYOUTS[layout]
    (declared,) = item.tensors("p", SIZES)
    assert (declared.name, tuple(declared.shape)) == ("p.w", tuple(stored.shape))
    expected = {
        str(role): matrix for role, matrix in ((Role.GATE_PROJ, GATE), (Role.UP_PROJ, UP)) if role in item.roles
    }
    whole = item.read("p", SIZES, Files({"p.w": stored}))
    assert {key: tensor.tolist() for key, tensor in whole.items()} == {k: t.tolist() for k, t in expected.items()}
    files = Files({"p.w": stored})
    one = item.read_one("p", SIZES, files, 1)
    assert {key: tensor.tolist() for key, tensor in one.items()} == {k: t[1].tolist() for k, t in expected.items()}
    assert files.read == stored.numel() // EXPERTS


def test_biases_are_fused_as_their_matrices() -> None:
    item = Stacked("w", Role.GATE_PROJ, Role.UP_PROJ, bias="b", transposed=True, alternating=True)
    weight, bias = item.tensors("p", SIZES)
    assert (bias.name, tuple(bias.shape), bias.kind) == ("p.b", (EXPERTS, 2 * OUT), Kind.BIAS)
    assert weight.logical + bias.logical == 2 * GATE.numel() + 2 * EXPERTS * OUT
    files = Files({"p.w": torch.zeros(EXPERTS, IN, 2 * OUT), "p.b": torch.arange(12.0).reshape(3, 4)})
    read = item.read_one("p", SIZES, files, 2)
    assert read["gate_proj.bias"].tolist() == [8.0, 10.0]
    assert read["up_proj.bias"].tolist() == [9.0, 11.0]
