"""Where norms of queries and keys act: on each head, on all heads together, after the rotation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from weightscope.components.attention.norms import NO_NORMS, HeadNorms, QueryKeyNorms, RotatedNorms, WholeNorms
from weightscope.components.norm import RMSNorm
from weightscope.components.running import At, Pass
from weightscope.roles import Role
from weightscope.sizes import Size

EPS = 1e-6
WEIGHTS = {"q_norm.weight": torch.linspace(0.5, 1.5, 8), "k_norm.weight": torch.linspace(2.0, 1.0, 4)}


class Weights:
    """A reader of two vectors."""

    def tensor(self, name: str) -> torch.Tensor:
        return WEIGHTS[name]

    def has(self, name: str) -> bool:
        return name in WEIGHTS


def at() -> At:
    reader: Any = Weights()
    return At(run=Pass(reader=reader, dtype=torch.float32, device=torch.device("cpu"), positions=torch.arange(3)))


def norm(name: str, role: Role, size: int) -> RMSNorm:
    return RMSNorm(name=name, role=role, size=Size(size), eps=EPS)


def normed(x: np.ndarray, weight: torch.Tensor) -> np.ndarray:
    wide = x.astype(np.float64)
    scaled: np.ndarray = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + EPS) * weight.numpy()
    return scaled


HEADS = HeadNorms(key=norm("k_norm", Role.K_NORM, 4))
WHOLE = WholeNorms(query=norm("q_norm", Role.Q_NORM, 8))
ROTATED = RotatedNorms(key=norm("k_norm", Role.K_NORM, 4))


@pytest.mark.parametrize(
    ("norms", "role", "place"),
    [(HEADS, Role.K_PROJ, "heads"), (WHOLE, Role.Q_PROJ, "projection"), (ROTATED, Role.K_PROJ, "rotated")],
)
def test_each_acts_in_its_own_place_alone(norms: QueryKeyNorms, role: Role, place: str) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 8))).float()
    steps = {
        "projection": (norms.at_projection, x),
        "heads": (norms.at_heads, x.unflatten(-1, (2, 4))),  # type: ignore[no-untyped-call]
        "rotated": (norms.at_rotated, x.unflatten(-1, (2, 4)).transpose(0, 1)),  # type: ignore[no-untyped-call]
    }
    for name, (step, given) in steps.items():
        out = step(given, role, at())
        if name == place:
            weight = WEIGHTS["q_norm.weight" if role is Role.Q_PROJ else "k_norm.weight"]
            np.testing.assert_allclose(out.numpy(), normed(given.numpy(), weight), rtol=1e-5)
        else:
            assert out is given


def test_what_has_no_norm_is_left_alone() -> None:
    x = torch.ones(3, 2, 4)
    assert HEADS.at_heads(x, Role.Q_PROJ, at()) is x
    assert list(NO_NORMS.parts()) == []


@pytest.mark.parametrize(
    ("norms", "words"),
    [
        (NO_NORMS, "rope(k_proj·x)"),
        (HEADS, "rope(norm(k_proj·x))"),
        (WholeNorms(key=norm("k_norm", Role.K_NORM, 8)), "rope(norm(k_proj·x))"),
        (ROTATED, "norm(rope(k_proj·x))"),
    ],
)
def test_the_order_in_words(norms: QueryKeyNorms, words: str) -> None:
    assert norms.words(Role.K_PROJ, "k_proj·x", "rope({})") == words
