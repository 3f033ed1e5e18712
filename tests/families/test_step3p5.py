"""Step 3.5's language model: what transformers computes of it alone, and the layout in which it is published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.families.tiny import TINY

TOKENS = [7, 3, 99, 0, 42, 42, 17, 5, 88, 61, 2]
NAMES = [tiny.name for tiny in TINY if tiny.name.startswith("step3p5")]
# The published names, by those that transformers has.
PUBLISHED = {
    ".mlp.gate.weight": ".moe.gate.weight",
    ".mlp.gate.e_score_correction_bias": ".moe.router_bias",
    ".mlp.experts.down_proj": ".moe.down_proj.weight",
    ".mlp.shared_experts.": ".share_expert.",
}


@pytest.mark.parametrize("name", NAMES)
def test_what_leaves_the_last_layer(name: str, saved: Callable[[str], Path]) -> None:
    """transformers has no class for the language model with its head."""
    oracle = next(tiny for tiny in TINY if tiny.name == name).build()
    oracle.config._experts_implementation = "eager"
    with torch.no_grad():
        expected = oracle(torch.tensor([TOKENS]), use_cache=False).last_hidden_state[0]
    found = weightscope.open(saved(name)).forward(TOKENS).output
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.square().mean().sqrt()))


def published(directory: Path) -> dict[str, torch.Tensor]:
    """The tensors of a base model as StepFun names them, with a head."""
    found = {}
    for name, tensor in load_file(directory / "model.safetensors").items():
        own = next((name.replace(old, new) for old, new in PUBLISHED.items() if old in name), name)
        if name.endswith("gate_up_proj"):
            for part, half in zip(("gate", "up"), tensor.chunk(2, dim=1), strict=True):
                found[f"model.{name}".replace("mlp.experts.gate_up_proj", f"moe.{part}_proj.weight")] = (
                    half.contiguous()
                )
        else:
            found[f"model.{own}"] = tensor
    return found | {"lm_head.weight": torch.randn(101, 24, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize("name", NAMES)
def test_as_published(name: str, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Heads, kinds of layers and mixtures under the keys of StepFun's own code; a layer that predicts ahead."""
    tensors = published(saved(name))
    keys = json.loads((saved(name) / "config.json").read_text())
    mixed = [i for i, kind in enumerate(keys["mlp_layer_types"]) if kind == "sparse"]
    turning = [keys["rope_parameters"][kind] for kind in (*keys["layer_types"], "sliding_attention")]
    for key in ("per_layer_config", "num_sliding_attention_heads", "mlp_layer_types", "rope_parameters"):
        del keys[key]
    keys |= {
        "rope_theta": [each["rope_theta"] for each in turning],
        "partial_rotary_factors": [each.get("partial_rotary_factor", 1.0) for each in turning],
    }
    keys |= {
        "architectures": ["Step3p5ForCausalLM"], "attention_other_setting": {"num_attention_heads": 8},
        "moe_layers_enum": ",".join(map(str, mixed)), "layer_types": [*keys["layer_types"], "sliding_attention"],
        "num_nextn_predict_layers": 1,
    }  # fmt: skip
    width = 24
    ahead = {
        "eh_proj.weight": (width, 2 * width), "enorm.weight": (width,), "hnorm.weight": (width,),
        "transformer.shared_head.norm.weight": (width,), "transformer.shared_head.output.weight": (101, width),
    }  # fmt: skip
    dense = {n: t for n, t in tensors.items() if ".layers.1." in n and "moe" not in n and "share_expert" not in n}
    dense |= {n: t for n, t in tensors.items() if n.startswith("model.layers.0.mlp.")}
    tensors |= {f"model.layers.4.{key}": torch.zeros(shape) for key, shape in ahead.items()}
    tensors |= {f"model.layers.4.{n.split('.', 3)[3]}": t.clone() for n, t in dense.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(keys))
    model, base = weightscope.open(tmp_path), weightscope.open(saved(name))
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    assert model.summary().tensors.unrecognized == ()
    counted = {n: t for n, t in tensors.items() if ".layers.4." not in n and not n.endswith("router_bias")}
    assert model.parameters.total == sum(t.numel() for t in counted.values())
    assert model.parameters.auxiliary == sum(t.numel() for n, t in tensors.items() if ".layers.4." in n)
    output = base.forward(TOKENS).output
    assert output is not None
    torch.testing.assert_close(model.forward(TOKENS).logits, output @ tensors["lm_head.weight"].T)
