"""Names, shapes and counts of every declared family are those that transformers saves and counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import safe_open

import weightscope
from tests.checkpoint import test_megatron_models, test_original_releases
from tests.families import test_gte
from tests.families.remote_code import REMOTE
from tests.families.remote_eyes import BY_INDEX, REMOTE_TOWERS, WHOLE_SIZE
from tests.families.tiny import TINY, Tiny
from weightscope.checkpoint.entry import TensorEntry
from weightscope.config import read_config
from weightscope.families.declaration import Declaration, declare
from weightscope.families.registry import all_families
from weightscope.storage.base import Kind

# Of a type whose tower transformers takes from a library that is not installed here, what tests of its own hold: names
# and counts, and logits.
BY_PARTS = {
    "fast_vlm": ("1 tiny, timm's tower in 2 sizes", "1 tiny with images"),
    "gemma3n": ("1 tiny, timm's tower in 4 widths", "1 tiny of text, images and audio"),
    "perception_lm": ("3 tiny, timm's tower in 4 sizes", "3 tiny around timm's tower"),
}
# Types of other makers' own files: tests spell a tiny model of transformers anew.
RESPELLED = test_original_releases.ORACLES | test_megatron_models.ORACLES | test_gte.ORACLES
every_tiny = pytest.mark.parametrize("tiny", TINY, ids=lambda tiny: tiny.name)


def header(directory: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes as the safetensors library reads them."""
    with safe_open(directory / "model.safetensors", "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping


def declared(directory: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> Declaration:
    entries = None if shapes is None else {name: TensorEntry("F32", shape, (0, 0)) for name, shape in shapes.items()}
    declaration = declare(read_config(directory / "config.json"), entries)
    assert declaration is not None
    return declaration


def test_every_family_is_built() -> None:
    """A declared type without a tiny model would go unchecked; those that transformers lacks are named."""
    built = {getattr(transformers, f"{tiny.kind}Config").model_type for tiny in TINY}
    remote_code_only = {remote.model_type for remote in (*REMOTE, *REMOTE_TOWERS)}
    elsewhere = remote_code_only | BY_INDEX.keys() | set(BY_PARTS) | set(WHOLE_SIZE) | RESPELLED.keys()
    assert set(all_families()) == built | elsewhere


def test_each_tiny_model_is_in_the_table_once() -> None:
    names = [tiny.name for tiny in TINY]
    assert sorted(set(names)) == sorted(names)


@every_tiny
def test_names_and_shapes(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    stored = header(saved(tiny.name))
    slots = declared(saved(tiny.name), stored).slots
    required = {n: tuple(s.stored.shape) for s in slots if not (s.stored.optional or s.auxiliary) for n in s.names()}
    assert required == {name: shape for name, shape in stored.items() if not may_be_absent(tiny, name)}


def may_be_absent(tiny: Tiny, name: str) -> bool:
    """The buffer that BART and its kin add to logits; what transformers computes again: sines and cosines, indices."""
    fixed = tiny.kind in ("Marian", "Pegasus") and name.endswith(".embed_positions.weight")
    indices = tiny.kind.startswith("Clap") and name.endswith(
        ("position_ids", "token_type_ids", "relative_position_index")
    )
    return name == "final_logits_bias" or fixed or indices


def as_5_23_saves_v4(name: str) -> str:
    """It keeps its own names outside of the layers, and gives one norm back under too short a name."""
    if name == "head.weight":
        return name
    name = name.replace("hc_head_", "hc_head.hc_").replace(".attn.kv_norm.", ".attn.norm.")
    return f"model.{name.replace('embed.', 'embed_tokens.')}"


@every_tiny
def test_names_from_the_config_alone(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """Without a file to look at, the usual spelling is what people have; 5.23 writes that of towers otherwise."""
    stored = {name for name in header(saved(tiny.name)) if not may_be_absent(tiny, name)}
    slots = declared(saved(tiny.name)).slots
    names = {n for s in slots if not (s.stored.optional or s.auxiliary) for n in s.names()}
    names = {name.replace("_tower.vision_model.", "_tower.") for name in names}
    names = {name.replace("vision_model.vision_model.", "vision_model.") for name in names}
    if tiny.kind == "MiniMaxM3VL":
        # 5.23 writes this one as it was published.
        stored = {name.replace("_tower.vision_model.", "_tower.") for name in stored}
    if tiny.kind == "ShieldGemma2":
        stored = {name.removeprefix("model.model.").replace("model.lm_", "language_model.lm_") for name in stored}
    if tiny.kind in ("Qwen3_5Moe", "Glm46V", "Glm4vMoeText"):
        # Published with the experts of a layer in one tensor, and 5.23 writes them apart; or the other way round.
        names, stored = ({name for name in some if ".experts." not in name} for some in (names, stored))
    if tiny.kind == "DeepseekV4":
        names = {as_5_23_saves_v4(name) for name in names}
    if tiny.kind == "ViTMAE":
        # 5.23 renames the decoder's layers along with the encoder's.
        stored = {name.replace("decoder_encoder.layer.", "decoder_layers.") for name in stored}
    if tiny.kind == "KimiLinear":
        # 5.23 renames dense layers along with mixed ones.
        names = {name.replace(".mlp.", ".block_sparse_moe.") for name in names}
    if tiny.kind == "Esm":
        # 5.23 writes its norms under TensorFlow's names, which no published file has.
        stored = {n.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias") for n in stored}
    if tiny.kind == "MiniMaxM3VLText":
        # Published within a whole model alone, whose names 5.23 does not give to the language model.
        pytest.skip("test_spellings.py holds the published names")
    if tiny.kind == "OlmoHybrid":
        # 5.23 renames a norm of attention layers along with that of delta nets.
        names = {name.replace(".post_attention_layernorm.", ".feedforward_layer_norm.") for name in names}
    if tiny.kind == "Kimi_K25":
        # Published otherwise than 5.23 writes it back.
        for written, published in (
            ("model.blocks", "model.layers"), ("encoder.patch_embed", "patch_embed"), ("model.mm_proj", "mm_proj"),
        ):  # fmt: skip
            stored = {name.replace(written, published) for name in stored}
    assert names == stored


@every_tiny
def test_counts_and_tying(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    """What files and the config alone count, and whether the head is tied."""
    model, oracle = weightscope.open(saved(tiny.name)), tiny.build()
    assert model.parameters.total == oracle.num_parameters()
    assert weightscope.open(saved(tiny.name) / "config.json").parameters.total == oracle.num_parameters()
    state = oracle.state_dict()
    persistent = [tensor for name, tensor in oracle.named_buffers() if name in state]
    assert model.parameters.buffers == sum(tensor.numel() for tensor in persistent)
    embeddings = model.summary().embeddings
    if head_of(oracle) is None:
        assert (embeddings.tied, embeddings.evidence) == (False, "not-applicable")
    else:
        assert embeddings.tied is tied(oracle)
        assert embeddings.evidence == ("absent-head" if embeddings.tied else "untied")


@every_tiny
def test_all_recognized_and_nothing_wrong(tiny: Tiny, saved: Callable[[str], Path]) -> None:
    summary = weightscope.open(saved(tiny.name)).summary()
    assert summary.tensors.recognized == summary.tensors.total == len(header(saved(tiny.name)))
    assert [finding for finding in summary.findings if finding.severity != "info"] == []


def written_table(oracle: Any) -> Any:
    """The table of the tokens that are written: Marian's decoder may have one of its own."""
    if oracle.config.model_type == "marian" and not oracle.config.share_encoder_decoder_embeddings:
        return oracle.model.decoder.embed_tokens
    return scoring(oracle).get_input_embeddings()


@pytest.mark.parametrize("name", ["mixtral", "mixtral-top3", "deepseek_v3", "deepseek_v3-bias"])
def test_active_leaves_out_the_experts_that_a_token_does_not_use(name: str, saved: Callable[[str], Path]) -> None:
    """Counted on transformers' own modules: its packed experts have the expert as their first dimension."""
    tiny = next(tiny for tiny in TINY if tiny.name == name)
    oracle = tiny.build()
    experts = sum(p.numel() for n, p in oracle.named_parameters() if ".experts." in n)
    count, chosen = oracle.config.num_local_experts, oracle.config.num_experts_per_tok
    expected = oracle.num_parameters() - experts + experts * chosen // count
    assert weightscope.open(saved(name)).parameters.active == expected


def tied(oracle: transformers.PreTrainedModel) -> bool:
    """Some classes tie nothing, whatever their config says."""
    head = head_of(oracle)
    return head is not None and head.weight is written_table(oracle).weight


def head_of(oracle: transformers.PreTrainedModel) -> Any:
    """What scores the vocabulary; a class that holds a whole model as a part of it says nothing of that one's."""
    return scoring(oracle).get_output_embeddings()


def scoring(oracle: transformers.PreTrainedModel) -> Any:
    """The model itself, or the one within it that has a head."""
    parts = {
        "shieldgemma2": "model", "qwen2_5_omni": "thinker", "qwen3_omni_moe": "thinker", "blip": "text_decoder",
    }  # fmt: skip
    part = parts.get(oracle.config.model_type)
    # BLIP's class that matches a text with an image has no such part.
    return getattr(oracle, part, oracle) if part else oracle


HEADS = ("lm_head.weight", "lm_head.decoder.weight", "embed_out.weight")


# How torch saved before 1.6 says nothing of types: a few show that it is read.
@pytest.mark.parametrize(
    ("tiny", "zipped"),
    [(tiny, zipped) for zipped in (True, False) for tiny in TINY[:: 1 if zipped else 40]],
    ids=lambda value: value.name if isinstance(value, Tiny) else "zip" if value else "older",
)
def test_what_torch_saves_reads_the_same(
    tiny: Tiny, zipped: bool, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((saved(tiny.name) / "config.json").read_bytes())
    oracle = tiny.build()
    state = dict(oracle.state_dict())
    published = set(header(saved(tiny.name)))
    if tiny.kind in ("Mixtral", "DeepseekV3", "Llava", "GPTNeoX") or not published <= set(state):
        # What these hold in memory is not what is published; take the published names from the saved file.
        with safe_open(saved(tiny.name) / "model.safetensors", "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    model = weightscope.open(tmp_path)
    assert model.parameters.total == oracle.num_parameters()
    assert model.summary().tensors.unrecognized == ()
    if any(name.endswith(HEADS) for name in state) and tied(oracle):
        assert model.tying.evidence == "shared-storage"


def test_dialects_of_rope_agree_with_transformers(tmp_path: Path) -> None:
    """`rope_theta` with `rope_scaling`, and `rope_parameters`, give what transformers standardizes both to."""
    from transformers import LlamaConfig

    from weightscope.config import Config
    from weightscope.families.common.defaults import ROPE
    from weightscope.families.common.rotary import rotary

    old = {"rope_theta": 500000.0, "rope_scaling": {"type": "linear", "factor": 8.0}}
    llama3 = {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    }
    for keys in (old, {"rope_theta": 500000.0, "rope_scaling": llama3}, {"rope_parameters": YARN_KEYS}, {}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = dict(LlamaConfig(**keys).rope_parameters)
        rope = rotary(Config(keys, defaults=ROPE), 64)
        assert rope.theta == expected.pop("rope_theta")
        assert rope.scaling.kind == expected.pop("rope_type")
        expected.pop("type", None)
        settings = dict(rope.scaling.settings)
        assert settings == {k: v for k, v in expected.items() if k in settings}
        assert set(settings) >= set(expected) - {"attention_factor", "partial_rotary_factor"}


YARN_KEYS = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 32768}


def test_kinds_of_stored_tensors(saved: Callable[[str], Path]) -> None:
    """DeepSeek's correction bias is a buffer, its norms and matrices are weights."""
    model = weightscope.open(saved("deepseek_v3-bias"))
    kinds = {name: tensor.kind for name, tensor in model.tensors.items()}
    assert kinds["model.layers.2.mlp.gate.e_score_correction_bias"] == Kind.BUFFER
    assert kinds["model.layers.2.mlp.gate.weight"] == Kind.WEIGHT
    assert kinds["model.layers.2.self_attn.q_a_proj.bias"] == Kind.BIAS
