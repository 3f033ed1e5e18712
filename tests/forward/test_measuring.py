"""What is measured of outputs is what torch says of each in float64, however they are put together or cut."""

from __future__ import annotations

import math

import pytest
import torch

from weightscope.analyses.forward import measuring, stages
from weightscope.analyses.forward.measuring import measure, random_signs
from weightscope.analyses.forward.stages import Recorder


@pytest.mark.parametrize("piece", [1, 40, measuring.PIECE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(1, 300, 7), (5, 4, 11), (2, 1, 1)], ids=str)
def test_measures_are_torch_s(
    shape: tuple[int, ...], dtype: torch.dtype, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "PIECE", piece)
    outputs = torch.randn(*shape).to(dtype)
    for found, exact in zip(measure(outputs), outputs.double(), strict=True):
        assert (found.low, found.high) == (exact.min(), exact.max())
        assert found.norm == pytest.approx(exact.norm().item(), rel=1e-5)
        sums = exact @ random_signs(shape[2], 0).double().T
        assert found.spread == pytest.approx((sums.amax(0) - sums.amin(0)).max().item(), rel=1e-5, abs=1e-6)
        marks = (sums.T * random_signs(shape[1], 1)).sum(1) / exact.numel() ** 0.5
        assert found.fingerprint == pytest.approx(marks.tolist(), rel=1e-4, abs=1e-5)


def test_squares_beyond_float32_are_summed() -> None:
    outputs = torch.randn(2, 3, 5) * torch.tensor([1e30, 1.0])[:, None, None]
    assert [one.norm for one in measure(outputs)] == pytest.approx([x.double().norm().item() for x in outputs])


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_one_wrong_element_is_seen_in_its_own_output(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "PIECE", 8)
    outputs = torch.ones(3, 6, 4)
    outputs[1, 4, 2] = wrong
    finite = [math.isfinite(one.low) and math.isfinite(one.high) for one in measure(outputs)]
    assert finite == [True, False, True]


@pytest.mark.parametrize("small", [0, 30, stages.SMALL])
def test_stages_keep_their_order_and_what_they_put_out(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs of one shape wait for each other, and what follows may write over them."""
    monkeypatch.setattr(stages, "SMALL", small)
    recorder = Recorder([])
    shapes = [(2, 3), (2, 3), (2, 5), (2, 3), (9, 9), (2, 3)]
    for number, shape in enumerate(shapes):
        x = torch.full(shape, number + 1.0)
        recorder.stage(str(number), "", x)
        x.fill_(-100.0)
    found, broken = recorder.finish(lambda name: [name])
    assert [(one.stage, one.shape, one.rms, one.absmax, one.varies) for one in found] == [
        (str(number), (1, *shape), number + 1.0, number + 1.0, False) for number, shape in enumerate(shapes)
    ]
    assert broken == ()
