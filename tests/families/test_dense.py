"""Dense families: nothing to report of what transformers saves, older spellings of their configs, what is refused."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import weightscope
from tests.altered import altered
from tests.components.test_logits import TOKENS
from tests.families.tiny import Tiny
from tests.families.tiny_dense import TINY_DENSE
from weightscope.components.attention.alibi import Alibi
from weightscope.ranges import template_of


@pytest.mark.parametrize("tiny", TINY_DENSE, ids=lambda tiny: tiny.name)
def test_check_finds_nothing(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    findings = weightscope.open(saved(tiny.name)).check()
    assert [finding for finding in findings if finding.severity != "info"] == []


# What configs said before transformers 5, by the tiny model whose keys they replace.
OLDER: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("gemma3_text", ("rope_parameters", "layer_types"), {
        "rope_theta": 1e5, "rope_local_base_freq": 3e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window_pattern": 3,
    }),
    ("gemma3_text", ("rope_parameters", "layer_types"), {}),
    ("phi-norms-rotary", ("rope_parameters",), {"partial_rotary_factor": 0.25}),
    ("phi", ("rope_parameters",), {}),
    ("olmo3", ("rope_parameters", "layer_types"), {
        "rope_theta": 500000, "rope_scaling": {
            "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "attention_factor": 1.2,
        },
    }),
    ("glm", ("rope_parameters", "head_dim"), {"head_dim": 12, "rope_theta": 3e4}),
    ("cohere2", ("rope_parameters", "layer_types"), {"rope_theta": 5e4, "sliding_window_pattern": 2}),
    ("cohere2", ("rope_parameters", "layer_types"), {}),
    ("smollm3", ("rope_parameters", "layer_types", "no_rope_layers"), {"no_rope_layer_interval": 2}),
    ("stablelm", ("rope_parameters",), {"partial_rotary_factor": 0.5, "rope_theta": 1e3}),
    ("stablelm", ("rope_parameters",), {}),
    ("hunyuan_v1_dense-alpha", ("rope_parameters",), {
        "rope_theta": 1e4, "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
    }),
    ("apertus", ("rope_parameters",), {}),
    ("gemma4_text", ("rope_parameters", "layer_types", "per_layer_config"), {"global_head_dim": 16}),
    # The last layer sees everything, whatever the config says of it.
    ("gemma4_text", ("per_layer_config",), {"global_head_dim": 16, "layer_types": ["sliding_attention"] * 6}),
    ("gemma4_text-shared", ("rope_parameters", "per_layer_config"), {
        "global_head_dim": 16, "num_global_key_value_heads": 3,
    }),
    ("gemma4_text-plain", ("per_layer_config",), {"global_head_dim": 16, "num_global_key_value_heads": 3}),
    ("gemma3n_text", ("rope_parameters", "layer_types", "activation_sparsity_pattern"), {
        "rope_theta": 1e5, "rope_local_base_freq": 3e3, "intermediate_size": 52,
    }),
    ("ministral3", ("rope_parameters",), {}),
    ("ministral", ("layer_types",), {}),
    ("exaone4", ("layer_types",), {"sliding_window_pattern": 2}),
    ("minicpm3", ("rope_parameters",), {"rope_scaling": {
        "type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0],
        "original_max_position_embeddings": 8,
    }}),
    # What the class reads otherwise than its siblings, or not at all.
    ("gpt_neox", ("rope_parameters",), {"rotary_pct": 1.0, "rotary_emb_base": 50.0, "rope_theta": 777.0}),
    ("gpt_neox", (), {"head_dim": 12}),
    ("stablelm", ("rope_parameters",), {"partial_rotary_factor": 0.5, "head_dim": 15}),
    ("gpt_neo", (), {"attention_layers": ["local", "global", "global"]}),
    ("gpt_neo", ("attention_layers", "attention_types"), {
        "attention_layers": ["local", "global", "global"], "attention_types": None,
    }),
    ("falcon-alibi-bias", (), {"num_ln_in_parallel_attn": 2}),
    # A class's other name of a key counts where both are there.
    ("gpt2", (), {"num_attention_heads": 4}),
    ("gptj", (), {"num_attention_heads": 3}),
    # Seen both ways, but by GPT-Neo, which has masks of its own, and StableLM, whose layers are not told.
    *((name, (), {"is_causal": False}) for name in (
        "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "codegen", "falcon", "falcon-alibi-bias", "bloom", "opt",
        "stablelm", "phi",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dropped", "added"), OLDER, ids=lambda value: value if isinstance(value, str) else "")
def test_configs_as_published(
    name: str, dropped: tuple[str, ...], added: dict[str, Any], saved: Callable[[str], Path], tmp_path: Path
) -> None:
    """Keys that a saved config has now, left out or spelled as before: it means what transformers takes it to mean."""
    from transformers import AutoModelForCausalLM

    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text())
    kept = {key: value for key, value in keys.items() if key not in dropped} | added
    (tmp_path / "config.json").write_text(json.dumps(kept))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = AutoModelForCausalLM.from_pretrained(tmp_path)(torch.tensor([TOKENS])).logits[0]
    logits = weightscope.open(tmp_path).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("smollm3", {"no_rope_layers": [1, 0]}, "no_rope_layers has 2 entries, but num_hidden_layers is 5"),
        ("exaone4", {"layer_types": None, "sliding_window_pattern": "LLxG"}, "neither a number nor letters"),
        ("apertus-bias-relu", {"hidden_act": "mish"}, "'mish'"),
        ("gemma4_text", {"per_layer_config": {"1": {"sliding_window": 3}}}, "per_layer_config with"),
        ("gemma3n_text", {"num_kv_shared_layers": 6}, "no .*_attention layer with its own keys"),
        ("gemma3n_text", {"intermediate_size": [52, 52]}, "one for each of 6 layers"),
        ("mpt", {"attn_config": {"qk_ln": True}}, "attn_config.qk_ln True"),
        ("mpt", {"attn_config": {"alibi": False}}, "attn_config.alibi False"),
        ("mpt", {"no_bias": False}, "no_bias False"),
        ("mpt", {"n_heads": 5}, "d_model 24 is not a multiple of n_heads 5"),
        (
            "falcon",
            {"new_decoder_architecture": True, "num_kv_heads": 1, "num_ln_in_parallel_attn": 3},
            "norms in this decoder architecture",
        ),
        ("gpt_neo", {"attention_layers": ["global", "local"]}, "attention_layers does not name 3 layers"),
        (
            "gpt_neo",
            {"attention_layers": None, "attention_types": [[["global"], 2]]},
            "attention_types does not name 3 layers",
        ),
        (
            "gpt_neo",
            {"attention_layers": None, "attention_types": [["global", 2]]},
            "attention_types does not name 3 layers",
        ),
        ("codegen", {"n_head": 6}, "n_head is 6"),
        ("gpt_bigcode", {"add_cross_attention": True}, "add_cross_attention"),
    ],
)
def test_what_is_not_declared_is_named(
    name: str, config: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(keys))
    with pytest.raises(weightscope.WeightscopeError, match=said):
        weightscope.open(tmp_path).forward(TOKENS)


def test_stablelm_has_no_head_dim(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """transformers makes the projections of `hidden_size` and the heads, whatever the config has besides."""
    (tmp_path / "model.safetensors").write_bytes((saved("stablelm") / "model.safetensors").read_bytes())
    keys = json.loads((saved("stablelm") / "config.json").read_text()) | {"head_dim": 12}
    (tmp_path / "config.json").write_text(json.dumps(keys))
    assert [finding for finding in weightscope.open(tmp_path).check() if finding.severity != "info"] == []


# The tensors are the same: all but the pass goes on.
NOT_COMPUTED: list[tuple[str, dict[str, Any], str]] = [
    ("bloom-odd-heads-untied", {"apply_residual_connection_post_layernorm": True}, "residual_connection"),
    ("bitnet", {"quantization_config": {"quant_method": "bitnet", "quantization_mode": "online"}}, "mode 'online'"),
    ("mpt", {"logit_scale": 0.5}, "logit_scale 0.5"),
    ("mpt", {"norm_type": "rmsnorm"}, "norm_type 'rmsnorm'"),
    ("mpt", {"attn_config": {"prefix_lm": True}}, "attn_config.prefix_lm True"),
]


@pytest.mark.parametrize(("name", "config", "said"), NOT_COMPUTED)
def test_what_is_not_computed_stops_only_the_pass(
    name: str, config: dict[str, Any], said: str, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes((saved(name) / "model.safetensors").read_bytes())
    keys = json.loads((saved(name) / "config.json").read_text()) | config
    (tmp_path / "config.json").write_text(json.dumps(keys))
    model = weightscope.open(tmp_path)
    assert [finding for finding in model.check() if finding.severity != "info"] == []
    with pytest.raises(weightscope.WeightscopeError, match=said):
        model.forward(TOKENS)


@pytest.mark.parametrize(("heads", "most"), [(6, 8), (8, 8), (5, 16), (64, 16)])
def test_slopes_of_mpt(heads: int, most: int) -> None:
    """Also with the `alibi_bias_max` that transformers' model does not pass on."""
    from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

    expected = build_mpt_alibi_tensor(heads, 2, most)[:, 0, 0]
    torch.testing.assert_close(-torch.tensor(Alibi(heads=heads, most=most).slopes), expected)


def test_positions_before_the_first_are_not_counted(saved: Callable[[str], Path]) -> None:
    """OPT's table has two rows more than there are positions."""
    opened = weightscope.open(saved("opt"))
    assert opened.forward([1] * 37).logits.shape == (37, 101)
    with pytest.raises(weightscope.WeightscopeError, match="37 learned"):
        opened.forward([1] * 38)


def test_keys_that_a_layer_does_not_use_may_be_stored(saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Gemma 4 and 3n are published with the projections of layers that take the keys of others."""
    tensors = load_file(saved("gemma3n_text-shared") / "model.safetensors")
    kinds = ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias", "k_norm.weight")
    more = {f"model.layers.5.self_attn.{kind}": tensors[f"model.layers.3.self_attn.{kind}"].clone() for kind in kinds}
    save_file(tensors | more, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved("gemma3n_text-shared") / "config.json").read_bytes())
    opened = weightscope.open(tmp_path)
    assert [finding for finding in opened.check() if finding.severity != "info"] == []
    expected = weightscope.open(saved("gemma3n_text-shared")).forward(TOKENS).logits
    torch.testing.assert_close(opened.forward(TOKENS).logits, expected)


# Tensors that make no difference: what a setting leaves out, a number that only has to be near zero, and a bias that
# all keys share where nothing turns them.
UNUSED = {
    "gemma3n_text-shared": {"model.layers.{}.altup.correct_output_scale"},
    "apertus": {"model.layers.{}.mlp.act_fn.eps"},
    "opt-base": {"decoder.layers.{}.self_attn.k_proj.bias"},
}
# One of each family, and Apertus with its own activation.
RICHEST = [*{tiny.kind: tiny for tiny in TINY_DENSE}.values(), *(t for t in TINY_DENSE if t.name == "apertus")]


@pytest.mark.parametrize("tiny", RICHEST, ids=lambda tiny: tiny.name)
def test_every_tensor_matters(tiny: Tiny, saved: Callable[[str], Path], tmp_path: Path) -> None:
    """Each kind of tensor changed in turn, in all layers: the output must change."""
    tensors = load_file(saved(tiny.name) / "model.safetensors")
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    kinds: dict[str, list[str]] = {}
    for tensor in tensors:
        kinds.setdefault(template_of(tensor)[0], []).append(tensor)

    shutil.copy(saved(tiny.name) / "model.safetensors", tmp_path)
    model = weightscope.open(tmp_path)

    def output(changed: list[str]) -> torch.Tensor:
        noise = torch.Generator().manual_seed(1)
        with altered(tmp_path, {n: tensors[n] + torch.rand(tensors[n].shape, generator=noise) for n in changed}):
            found = model.forward(TOKENS).output
        assert found is not None
        return found

    before = output([])
    unmoved = {kind for kind, names in kinds.items() if torch.allclose(output(names), before, atol=1e-5)}
    assert unmoved == UNUSED.get(tiny.name, set())
