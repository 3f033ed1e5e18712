"""Rotation against transformers' own: multi-axis positions, in the two orders that are published."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.families.tiny import LLAMA
from weightscope.components.attention.rope import Rope
from weightscope.errors import WeightscopeError

TOKENS = [7, 3, 99, 0, 42, 17, 5]
# Of time, height and width, as an image in the middle of a text has them.
POSITIONS = [[0, 1, 2, 2, 2, 2, 4], [0, 1, 2, 2, 3, 3, 4], [0, 1, 2, 3, 2, 3, 4]]
KEYS = LLAMA | {"head_dim": 12, "hidden_size": 72}


def oracle(kind: str, sections: dict[str, Any]) -> Any:
    rope = {"rope_type": "default", "rope_theta": 1e4, **sections}
    config = getattr(transformers, f"{kind}TextConfig")(**KEYS, rope_parameters=rope)
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}TextModel")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
    return model


@pytest.mark.parametrize(
    ("kind", "model_type", "sections"),
    [
        ("Qwen2VL", "qwen2", {"mrope_section": [1, 2, 3]}),
        ("Qwen3VL", "qwen3", {"mrope_section": [3, 2, 1], "mrope_interleaved": True}),
    ],
)
def test_positions_of_three_axes(kind: str, model_type: str, sections: dict[str, Any], tmp_path: Path) -> None:
    """The text models of Qwen2-VL and Qwen3-VL are qwen2 and qwen3 but for their positions."""
    model = oracle(kind, sections)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": model_type, "architectures": [f"{model_type.capitalize()}Model"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with torch.no_grad():
        expected = model(
            inputs_embeds=model.embed_tokens(torch.tensor([TOKENS])), position_ids=torch.tensor(POSITIONS)[:, None]
        ).last_hidden_state[0]
    opened = weightscope.open(tmp_path)
    result = opened.forward(TOKENS, position_ids=POSITIONS)
    assert result.output is not None
    torch.testing.assert_close(result.output, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    plain = opened.forward(TOKENS).output
    assert plain is not None
    assert not torch.allclose(plain, expected, atol=1e-2)
    # Three axes that agree are one.
    alike = opened.forward(TOKENS, position_ids=[list(range(7))] * 3).output
    assert alike is not None
    torch.testing.assert_close(alike, plain, rtol=1e-5, atol=1e-5)


def test_axes_that_no_section_knows() -> None:
    rope = Rope(dim=12, theta=1e4)
    with pytest.raises(WeightscopeError, match="positions with 3 axes need an mrope_section"):
        rope.rotation(torch.tensor(POSITIONS), torch.float32)


@pytest.mark.parametrize("positions", [[[0, 1]], [0, 1, 2], [0] * 6 + [-1]])
def test_positions_that_do_not_fit(positions: Any) -> None:
    model = weightscope.open(Path(__file__).parents[3] / "fixtures" / "llama")
    with pytest.raises(WeightscopeError, match="position_ids of shape"):
        model.forward(TOKENS, position_ids=positions)


@pytest.mark.parametrize("positions", [[0, 1, 2, 3, 4, 5, 32], [[0, 1, 2, 3, 4, 5, 6]] * 3])
def test_learned_positions_are_only_so_many(positions: Any) -> None:
    model = weightscope.open(Path(__file__).parents[3] / "fixtures" / "gpt2")
    with pytest.raises(WeightscopeError, match=r"outside the learned positions \(0 to 31\)"):
        model.forward(TOKENS, position_ids=positions)


def test_other_positions_turn_otherwise() -> None:
    """Rotation is relative: all positions shifted alike give the same logits, stretched ones others."""
    model = weightscope.open(Path(__file__).parents[3] / "fixtures" / "llama")
    plain = model.forward(TOKENS).logits
    shifted = model.forward(TOKENS, position_ids=range(100, 107)).logits
    torch.testing.assert_close(shifted, plain, rtol=1e-3, atol=1e-4)
    stretched = model.forward(TOKENS, position_ids=range(0, 70, 10)).logits
    assert not torch.allclose(stretched, plain, rtol=1e-3, atol=1e-4)
