"""Types whose maths nothing that is installed has: names and sizes of their published indexes, and text alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import weightscope
from tests.families.test_published import expand
from tests.families.tiny import LLAMA
from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.errors import NotImplementedByWeightscope, UndeclaredError
from weightscope.families.declaration import declare

PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"
TOWER = {
    "model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 980, "intermediate_size": 4304,
    "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14,
}  # fmt: skip
# openbmb/MiniCPM-V-2_6's, less what is not about tensors.
MINICPMV: dict[str, Any] = {
    "model_type": "minicpmv", "version": 2.6, "architectures": ["MiniCPMV"], "drop_vision_last_layer": False,
    "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
    "num_hidden_layers": 28, "num_key_value_heads": 4, "query_num": 64, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "tie_word_embeddings": False, "vocab_size": 151666, "vision_config": TOWER,
}  # fmt: skip


def test_minicpm_v_has_the_names_and_the_size_of_the_published_index() -> None:
    """The index lies beside its language model's config, which it names without `llm`."""
    index = json.loads((PUBLISHED / "thanhtantran__MiniCPM-V-2_6-llm.json").read_text())["index"]
    names = {f"llm.{n}" if n.startswith(("model.", "lm_head.")) else n for n in expand(index["names"])}
    declaration = declare(Config(MINICPMV), names)
    assert declaration is not None
    required = [slot for slot in declaration.slots if not slot.stored.optional]
    assert {name for slot in required for name in slot.names()} == names
    assert 2 * sum(slot.stored.elements * slot.count for slot in required) == index["metadata"]["total_size"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"use_gene_module": True}, "use_gene_module"), ({"drop_vision_last_layer": True}, "drop_vision"),
     ({"version": 2.5}, "version")],
)  # fmt: skip
def test_other_minicpm_v_are_refused_by_name(changes: dict[str, Any], said: str) -> None:
    """OpenBMB/Scicore-Omics has genes besides."""
    with pytest.raises(UndeclaredError, match=said):
        declare(Config(MINICPMV | changes))


def test_locateanything_says_why_it_does_not_run(tmp_path: Path) -> None:
    published = json.loads((PUBLISHED / "nvidia__LocateAnything-3B-ft.json").read_text())["config"]
    small = {"hidden_size": 16, "intermediate_size": 22, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = published | {"text_config": LLAMA | {"model_type": "qwen2", "tie_word_embeddings": True}}
    config["vision_config"] = published["vision_config"] | small
    (tmp_path / "config.json").write_text(json.dumps(config))
    declaration = declare(Config(config))
    assert declaration is not None
    tensors = {
        name: torch.ones(tuple(map(int, slot.stored.shape)))
        for slot in declaration.slots
        for name in slot.names()
        if not slot.stored.optional
    }
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(NotImplementedByWeightscope, match="within blocks of tokens"):
        weightscope.open(tmp_path).forward([1, 2, 3])


def molmo(**changes: Any) -> dict[str, Any]:
    published: dict[str, Any] = json.loads((PUBLISHED / "reubzdubz__Molmo-7B-D-NF4.json").read_text())["config"]
    return {key: value for key, value in published.items() if key != "quantization_config"} | changes


def test_molmo_s_parts_and_why_it_does_not_run() -> None:
    """What no config says is CLIP ViT-L/14's: 23 layers of 1,024, and 577 positions."""
    declaration = declare(Config(molmo()))
    assert declaration is not None
    shapes = {name: tuple(map(int, slot.stored.shape)) for slot in declaration.slots for name in slot.names()}
    eye = "model.vision_backbone."
    assert shapes[f"{eye}image_vit.positional_embedding"] == (577, 1024)
    assert shapes[f"{eye}image_vit.transformer.resblocks.22.feed_forward.w1.weight"] == (4096, 1024)
    assert shapes[f"{eye}image_pooling_2d.wq.weight"] == (1024, 2048)
    assert shapes[f"{eye}image_projector.w2.weight"] == (3584, 18944)
    assert shapes["model.transformer.wte.new_embedding"] == (128, 3584)
    assert isinstance(declaration.tree, CausalLM)
    assert "only its own code" in declaration.tree.refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"attention_layer_norm": True}, "attention_layer_norm"), ({"moe_num_experts": 64}, "moe_num_experts"),
     ({"layer_norm_type": "default"}, "layer_norm_type"), ({"embedding_size": 9}, "embedding_size"),
     ({"weight_tying": True}, "weight_tying")],
)  # fmt: skip
def test_other_molmos_are_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UndeclaredError, match=said):
        declare(Config(molmo(**changes)))
