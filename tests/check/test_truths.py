"""One key of the config that is wrong, in several families: the finding names it, and what it should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.check.planting import Plant

Saved = Callable[[str], Path]


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("bert", "num_hidden_layers", 2, "found 3 layers in bert.encoder.layer, but num_hidden_layers is 2"),
        ("mt5-encoder", "num_layers", 4, "found 3 layers in encoder.block, but num_layers is 4"),
        ("qwen2-tied-window", "num_hidden_layers", 5, "found 3 layers in model.layers, but num_hidden_layers is 5"),
        ("deepseek_v3", "num_hidden_layers", 2, "found 3 layers in model.layers, but num_hidden_layers is 2"),
        ("mixtral", "num_local_experts", 7,
         "found 5 experts in model.layers.*.block_sparse_moe.experts, but num_local_experts is 7"),
    ],
)  # fmt: skip
def test_another_number_of_layers_or_experts(
    name: str, key: str, value: int, said: str, saved: Saved, tmp_path: Path
) -> None:
    plant = Plant.of(saved(name), tmp_path / "m")
    right = plant.config[key]
    plant.config[key] = value
    if "layer_types" in plant.config:
        plant.config["layer_types"] += plant.config["layer_types"][-1:] * (value - right)
    findings = [finding for finding in plant.findings() if finding.severity != "info"]
    assert findings[0].message == said
    assert (findings[0].config, findings[0].actual) == ((key,), right)
    assert findings[0].hint.startswith(f"set {key} to {right} ")
    # The router of another number of experts has another shape.
    assert all(f"fits {key} = {right};" in finding.hint for finding in findings[1:])


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        # 6 heads cannot share 4 keys: that the config contradicts itself hides nothing.
        ("mistral", "num_key_value_heads", 4, "fits num_key_value_heads = 2; config.json says 4"),
        ("llava", "vision_config.image_size", 56, "fits vision_config.image_size = 28; config.json says 56"),
        # Any number of heads gives these shapes.
        ("llava", "vision_config.num_attention_heads", 8, "config.json contradicts itself: correct that first"),
        ("blip", "vision_config.hidden_size", 40, "fits vision_config.hidden_size = 20; config.json says 40"),
        # Two kinds of layers have heads of other widths: no layer was pruned.
        ("gemma4_unified-silent", "text_config.num_attention_heads", 12,
         "fits text_config.num_attention_heads = 6; config.json says 12"),
        ("swin-pixels", "embed_dim", 16, "fits embed_dim = 8; config.json says 16"),
    ],
)  # fmt: skip
def test_the_key_behind_wrong_shapes(name: str, key: str, value: int, said: str, saved: Saved, tmp_path: Path) -> None:
    plant = Plant.of(saved(name), tmp_path / "m")
    *outer, last = key.split(".")
    part = plant.config
    for inner in outer:
        part = part[inner]
    part[last] = value
    wrong = [finding for finding in plant.findings() if finding.code == "shape-mismatch"]
    assert wrong
    assert [finding.hint for finding in wrong if said not in finding.hint] == []
