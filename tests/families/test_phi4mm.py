"""Phi-4-multimodal as Microsoft publishes it: full size without values, and tiny with adapters inside."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.test_against_transformers import declared
from tests.families.tiny_phi4 import PHI4, TINY_PHI4
from tests.forward import seeing, test_phi4_ears, test_phi4_eyes
from weightscope.config import Config
from weightscope.errors import ConfigError, UsageError
from weightscope.families.declaration import declare

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


TINY: dict[str, Any] = {
    "model_type": "phi4mm", "architectures": ["Phi4MMForCausalLM"],
    **{key: value for key, value in PHI4.items() if not key.endswith("_config")},
    "audio_processor": {"name": "cascades", "config": {
        "attention_dim": 12, "attention_heads": 2, "linear_units": 18, "num_blocks": 2, "input_size": 20,
        "depthwise_multiplier": 1, "depthwise_seperable_out_channel": 12, "ext_pw_out_channel": 12,
        "kernel_size": 3, "time_reduction": 8, "nemo_conv_settings": {"conv_channels": 10},
        "relative_attention_bias_args": {"t5_bias_max_distance": 7, "type": "t5"}, "audio_token_id": 96,
    }},
    "embd_layer": {"audio_embd_layer": {"downsample_rate": 1}, "image_embd_layer": PHI4["vision_config"]},
    "vision_lora": {"r": 3, "lora_alpha": 12}, "speech_lora": {"r": 5, "lora_alpha": 4},
}  # fmt: skip


def published(target: Path) -> dict[str, Any]:
    """A tiny model in Microsoft's layout; transformers' own for each way of use, B·A·alpha/r added to its matrices."""
    oracle = test_phi4_ears.lively(TINY_PHI4[0], target)
    oracles = {"": oracle, "vision": copy.deepcopy(oracle), "speech": copy.deepcopy(oracle)}
    generator = torch.Generator().manual_seed(9)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in oracle.state_dict().items():
        if not ADAPTED.fullmatch(name):
            spelled = name
            for held, there in BACK:
                spelled = re.sub(held, there, spelled)
            tensors[spelled] = tensor.clone()
            continue
        module, (rows, columns) = name.removesuffix(".weight"), tensor.shape
        tensors[f"{module}.base_layer.weight"] = tensor.clone()
        for mode in ("vision", "speech"):
            rank, alpha = (TINY[f"{mode}_lora"][key] for key in ("r", "lora_alpha"))
            a, b = (torch.randn(shape, generator=generator) * 0.3 for shape in ((rank, columns), (rows, rank)))
            tensors[f"{module}.lora_A.{mode}.weight"], tensors[f"{module}.lora_B.{mode}.weight"] = a, b
            oracles[mode].get_parameter(name).data += b @ a * (alpha / rank)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(TINY))
    return oracles


NAMES = {"image_pixel_values": "input_image_embeds", "audio_input_features": "input_audio_embeds"}


def test_each_way_of_use_has_its_adapter(tmp_path: Path) -> None:
    """Microsoft's code: the one for images wherever there are some, the one for speech alone, none for text."""
    tiny, oracles = TINY_PHI4[0], published(tmp_path)
    images, heard = test_phi4_eyes.images(tiny), test_phi4_ears.clips(tiny, 0.8, 0.55)
    seen, spoken = test_phi4_eyes.tokens(tiny), test_phi4_ears.spoken(heard)
    assert [finding for finding in weightscope.open(tmp_path).check() if finding.severity != "info"] == []
    for mode, ids, inputs, number in (
        ("", test_phi4_eyes.TEXT, {}, 0),
        ("vision", seen, images, 1),
        ("speech", spoken, heard, 2),
        ("vision", [*seen, *spoken], images | heard, 3),
    ):
        expected = test_phi4_eyes.theirs(oracles[mode], ids, inputs)
        given = {NAMES.get(name, name): value for name, value in inputs.items()}
        found = seeing.ours(tmp_path, ids, given | {"input_mode": torch.tensor([number])})
        assert seeing.off(found, expected) < 1e-4
        if mode:
            assert seeing.off(test_phi4_eyes.theirs(oracles[""], ids, inputs), expected) > 1e-2
        with pytest.raises(UsageError, match=f"the inputs that are given make it {number}"):
            seeing.ours(tmp_path, ids, given | {"input_mode": torch.tensor([number + 1])})


def test_every_adapter_matters(tmp_path: Path) -> None:
    published(tmp_path)
    heard = test_phi4_ears.clips(TINY_PHI4[0], 0.4)
    names = [name for name in load_file(tmp_path / "model.safetensors") if "lora_" in name]
    given = {NAMES.get(name, name): value for name, value in heard.items()}
    still = seeing.unmoving(tmp_path, test_phi4_ears.spoken(heard), given, names)
    assert still == {name for name in names if "vision" in name}


def test_explain_says_when_it_is_added(tmp_path: Path) -> None:
    published(tmp_path)
    explained = weightscope.open(tmp_path).explain("model.layers.0.mlp.down_proj.lora_A.speech.weight")
    assert "with speech alone" in str(explained.terms)


def test_another_way_of_building_is_refused_by_name() -> None:
    config = copy.deepcopy(CONFIG)
    config["audio_processor"]["config"]["causal"] = False
    declaration = declare(Config(config))
    assert declaration is not None
    assert "causal False" in declaration.tree.refused  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("vision_lora",), None),
        (("vision_lora", "r"), "many"),
        (("speech_lora", "r"), 0),
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
