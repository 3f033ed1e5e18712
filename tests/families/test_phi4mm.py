"""Phi-4-multimodal as Microsoft publishes it: names and shapes of full size, of transformers' model without values."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import weightscope
from tests.families.test_against_transformers import declared
from weightscope.config import Config
from weightscope.errors import ConfigError
from weightscope.families.registry import declare

# What the published config says of sizes.
CONFIG: dict[str, Any] = {
    "model_type": "phi4mm", "architectures": ["Phi4MMForCausalLM"], "vocab_size": 200064, "hidden_size": 3072,
    "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 24, "num_key_value_heads": 8,
    "tie_word_embeddings": True, "partial_rotary_factor": 0.75,
    "audio_processor": {"name": "cascades", "config": {
        "attention_dim": 1024, "attention_heads": 16, "linear_units": 1536, "num_blocks": 24, "input_size": 80,
        "depthwise_multiplier": 1, "depthwise_seperable_out_channel": 1024, "ext_pw_out_channel": 1024,
        "kernel_size": 3, "time_reduction": 8, "nemo_conv_settings": {"conv_channels": 1024},
        "relative_attention_bias_args": {"t5_bias_max_distance": 500, "type": "t5"},
    }},
    "embd_layer": {
        "audio_embd_layer": {"downsample_rate": 1}, "image_embd_layer": {"crop_size": 448},
    },
    "vision_lora": {"r": 256, "lora_alpha": 512}, "speech_lora": {"r": 320, "lora_alpha": 640},
}  # fmt: skip
# As transformers' own converter names them, the other way round; what it leaves alone has the published name.
BACK = (
    (r"(encoders\.\d+\.feed_forward_(?:in|out))\.gate_up_proj", r"\1.net.0.linear"),
    (r"(encoders\.\d+\.feed_forward_(?:in|out))\.down_proj", r"\1.net.2"),
    (r"(encoders\.\d+\.self_attn)\.([qkv])_proj", r"\1.linear_\2"),
    (r"(encoders\.\d+\.self_attn)\.o_proj", r"\1.linear_out"),
    ("img_projection_up", "img_projection.0"),
    ("img_projection_down", "img_projection.2"),
    ("sub_img_feature_extensor", "sub_GN"),
    ("global_img_feature_extensor", "glb_GN"),
    ("up_proj_for_speech", "audio_projection.speech.0"),
    ("down_proj_for_speech", "audio_projection.speech.2"),
    ("up_proj_for_vision_speech", "audio_projection.vision.0"),
    ("down_proj_for_vision_speech", "audio_projection.vision.2"),
)
ADAPTED = re.compile(r"model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj\.weight")


def expected() -> tuple[dict[str, tuple[int, ...]], int]:
    """Names and shapes of transformers' model under the published names, adapters of PEFT's shapes, and the count."""
    audio = {
        "hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 1536, "bias_max_distance": 500,
    }  # fmt: skip
    sizes = {key: value for key, value in CONFIG.items() if isinstance(value, int | float)}
    config = transformers.Phi4MultimodalConfig(**sizes, audio_config=audio)
    with torch.device("meta"):
        model = transformers.Phi4MultimodalForCausalLM(config)
    shapes: dict[str, tuple[int, ...]] = {}
    count = model.num_parameters()
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        if ADAPTED.fullmatch(name):
            stem = name.removesuffix(".weight")
            rows, columns = map(int, tensor.shape)
            shapes[f"{stem}.base_layer.weight"] = (rows, columns)
            for mode, rank in (("vision", 256), ("speech", 320)):
                shapes[f"{stem}.lora_A.{mode}.weight"] = (rank, columns)
                shapes[f"{stem}.lora_B.{mode}.weight"] = (rows, rank)
                count += rank * (rows + columns)
            continue
        published = name
        for held, spelled in BACK:
            published = re.sub(held, spelled, published)
        shapes[published] = tuple(tensor.shape)
    return shapes, int(count)


def test_names_shapes_and_count(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    shapes, count = expected()
    slots = declared(tmp_path, shapes).slots
    assert {n: tuple(s.stored.shape) for s in slots if not s.stored.optional for n in s.names()} == shapes
    parameters = weightscope.open(tmp_path / "config.json").parameters
    assert parameters.total == count
    # What the Hub counts of microsoft/Phi-4-multimodal-instruct.
    assert count + (parameters.buffers or 0) == 5_574_460_384


def test_the_pass_is_refused_by_name(tmp_path: Path) -> None:
    declaration = declare(Config(CONFIG))
    assert declaration is not None
    said = "with adapters inside"
    assert said in declaration.tree.refused  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("vision_lora",), None),
        (("vision_lora", "r"), "many"),
        (("audio_processor",), {}),
        (("audio_processor", "config", "attention_dim"), None),
        (("audio_processor", "config", "time_reduction"), 1),
        (("embd_layer", "image_embd_layer"), 3),
        (("num_attention_heads",), 0),
    ],
)
def test_values_that_describe_no_model(path: tuple[str, ...], value: Any) -> None:
    config = copy.deepcopy(CONFIG)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ConfigError):
        declare(Config(config))
