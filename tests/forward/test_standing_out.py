"""Sparklines, and which stages of a pass stand out: by hand, and in passes over damaged weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weightscope.analyses.forward.outcome import Outcome
from weightscope.analyses.forward.stages import Stage
from weightscope.output.sparkline import MOST, sparkline
from weightscope.output.standing_out import standing_out


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([3.0], "▁"),
        ([1, 2, 4, 8, 16, 32, 64, 128], "▁▂▃▄▅▆▇█"),
        # A change of a tenth is small, whatever the smallest and largest are.
        ([1.0, 1.1, 1.0], "▁▂▁"),
        ([1.0, None, 2.0], "▁!█"),
        ([0.0, 0.0], "00"),
        ([0.0, 1.0, 256.0], "0▁█"),
        ([0.02, 0.0, 0.02], "▁0▁"),
        ([None], "!"),
        ([1.0] * 59 + [2.0] * 61, "▁" * 29 + "█" * 31),
    ],
)
def test_sparkline(values: list[float | None], shown: str) -> None:
    assert sparkline(values) == shown
    assert len(sparkline(values)) <= MOST


def stage(name: str, rms: float | None, absmax: float | None, *, varies: bool = True) -> Stage:
    return Stage(
        stage=name,
        equation="",
        weights=(f"{name}.weight",),
        roles=(),
        shape=(1, 2, 3),
        rms=rms,
        absmax=absmax,
        finite=rms is not None,
        varies=varies,
    )


def outcome(*stages: Stage) -> Outcome:
    return Outcome(
        ok=True,
        device="cpu",
        compute_dtype="float32",
        tokens=2,
        finite=True,
        stages=stages,
        top=(),
        peak_bytes=0,
        seconds=0.0,
        reference="m",
        model_type="llama",
        token_ids=(1, 2),
        prompt=None,
        origin="tokens",
        loss=None,
        perplexity=None,
        predictions=0,
        checked=(),
        findings=(),
    )


def test_only_where_something_begins_does_a_stage_stand_out() -> None:
    found = standing_out(
        outcome(
            stage("token embedding", 1.0, 3.0),
            stage("layer 0 mlp", 9.0, 30.0),
            stage("layer 1 mlp", 90.0, 300.0),
            stage("layer 2 mlp", 95.0, 9500.0),
            stage("layer 3 mlp", 95.0, 9600.0),
            stage("layer 4 mlp", 9.0, 20.0, varies=False),
            stage("layer 5 mlp", 9.0, 20.0, varies=False),
            stage("final norm", 0.5, 1.0, varies=False),
            stage("class scores", None, None),
            stage("logits", None, None),
        )
    )
    assert [(stage.stage, why) for stage, why in found] == [
        ("layer 1 mlp", "RMS grows 10 times"),
        ("layer 2 mlp", "one value is 100 times the RMS"),
        ("layer 4 mlp", "the same for every token; RMS falls to 0.095 of the stage before"),
        ("class scores", "NaN or infinity from here on"),
    ]


def test_a_sound_pass_has_none(run: Any) -> None:
    assert "\nNo stage stands out; --stages shows all 9.\n" in run("forward", "fixtures/llama")[1]


def test_a_damaged_weight_shows_where(changed: Callable[..., Path], run: Any) -> None:
    import torch

    def damage(state: dict[str, torch.Tensor]) -> None:
        state["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")

    shown = run("forward", changed("llama", damage), "--tokens", "1,2,3")[1]
    assert "\nlayer 1 mlp                NaN or infinity from here on\n" in shown
    assert "  ▁!" in shown


def test_ascii_has_a_form_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from weightscope.output.document import Document, Table
    from weightscope.output.terminal import write_table

    class Ascii(io.StringIO):
        encoding = "ascii"

    stream = Ascii()
    facts = (("RMS", sparkline([1, 2, 4, 8, 16, 32, 64, 128])),)
    write_table(Document(data=None, title="m", subtitle="", facts=facts, table=Table(columns=(), rows=())), stream)
    assert stream.getvalue() == "m\n\nRMS  _.:-=+*#\n"
