"""Every change of one key of a tiny model's config: of its class's keys, of other spellings, of keys of others."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import transformers

from tests.families.key_values import NEAR, Chain, chains, same
from tests.families.tiny import TINY, Tiny

# What concerns training, output or other tasks, and never a tensor or a logit of a decoder.
PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"
ELSEWHERE = {
    "transformers_version", "architectures", "output_hidden_states", "output_attentions", "return_dict", "dtype", "torch_dtype",
    "id2label", "label2id", "problem_type", "initializer_range", "use_cache", "model_type", "output_router_logits",
    "router_aux_loss_coef", "aux_loss_alpha", "seq_aux", "is_encoder_decoder", "chunk_size_feed_forward",
}  # fmt: skip

# Keys that some classes have: those that lack one of them ignore it, or read it from whatever config has it.
OTHERS: dict[str, tuple[Any, ...]] = {
    "is_causal": (False, True),
    "head_dim": (12, 8), "rotary_dim": (2,), "rotary_pct": (0.5,), "partial_rotary_factor": (0.5,),
    "rotary_emb_base": (777,), "rope_theta": (777.0, None), "rope_local_base_freq": (333.0,), "alibi": (True,),
    "rope_scaling": ({"type": "linear", "factor": 4.0}, {"rope_type": "dynamic", "factor": 3.0}, None),
    "rope_parameters": (NEAR, None), "rope_interleave": (True, False), "original_max_position_embeddings": (8,),
    "max_position_embeddings": (16,), "rope_interleaved": (True, False),
    "layer_types": (["sliding_attention"], ["full_attention"], ["full_attention", "sliding_attention"]),
    "sliding_window": (4, None), "use_sliding_window": (True, False), "max_window_layers": (1,),
    "sliding_window_pattern": (2, None), "attention_window_size": (4,), "attention_chunk_size": (4,),
    "no_rope_layers": ([0, 1],), "no_rope_layer_interval": (2,), "use_bidirectional_attention": (True,),
    "attention_bias": (True, False), "mlp_bias": (True, False), "use_bias": (True, False), "qkv_bias": (True, False),
    "bias": (True, False), "use_qkv_bias": (True, False), "attention_out_bias": (True,), "lm_head_bias": (True,),
    "num_key_value_heads": (3, 1, None), "num_kv_heads": (3,), "multi_query": (True, False), "n_inner": (50,),
    "intermediate_size": (51,), "ffn_hidden_size": (51,), "moe_intermediate_size": (13,),
    "hidden_act": ("relu", "gelu"), "hidden_activation": ("relu", None), "activation_function": ("relu",),
    "rms_norm_eps": (0.03,), "layer_norm_eps": (0.03,), "layer_norm_epsilon": (0.03,), "norm_epsilon": (0.03,),
    "norm_eps": (0.03,), "layernorm_epsilon": (0.03,), "initializer_cutoff_factor": (2.0,),
    "attn_logit_softcapping": (2.0, None), "final_logit_softcapping": (2.0, None), "logits_soft_cap": (2.0,),
    "query_pre_attn_scalar": (7,), "clip_qkv": (0.3,), "qk_layernorm": (True,), "use_qk_norm": (True, False),
    "logit_scale": (0.3,), "logits_scaling": (3.0,), "embedding_multiplier": (3.0,), "residual_multiplier": (0.3,),
    "attention_multiplier": (0.3,), "scale_attn_weights": (False,), "scale_attn_by_inverse_layer_idx": (True,),
    "norm_topk_prob": (True, False), "routed_scaling_factor": (1.7,), "scoring_func": ("softmax", "sigmoid"),
    "topk_method": ("greedy", "noaux_tc"), "n_group": (1,), "topk_group": (1,), "num_experts_per_tok": (1,),
    "num_experts": (4,), "num_local_experts": (4,), "n_routed_experts": (4,), "first_k_dense_replace": (2, 0),
    "mlp_layer_types": (["dense", "sparse", "dense"], ["sparse"]), "mlp_only_layers": ([1],),
    "decoder_sparse_step": (2,), "moe_layer_freq": (2,), "interleave_moe_layer_step": (2,),
    "n_shared_experts": (1,), "shared_expert_intermediate_size": (13,), "shared_intermediate_size": (13,),
    "use_parallel_residual": (True, False), "parallel_attn": (True, False), "num_nextn_predict_layers": (1,),
    "tie_word_embeddings": (True, False), "hidden_size_per_layer_input": (7,), "num_kv_shared_layers": (1,),
    "mtp_num_hidden_layers": (1,), "attention_layers": (["global", "local"],), "swiglu_limit": (0.2,),
    "mamba_rms_norm": (True,), "conv_bias": (True,), "use_conv_bias": (False,), "pretraining_tp": (2,),
    "add_cross_attention": (False,), "is_decoder": (True, False), "cross_attention_hidden_size": (9,),
    "layer_norm_elementwise_affine": (False,), "do_layer_norm_before": (False,), "word_embed_proj_dim": (10,),
    "tie_encoder_decoder": (True,), "pruned_heads": ({},), "torchscript": (True,),
}  # fmt: skip


class Absent:
    """The key is left out."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()


class Change(msgspec.Struct, frozen=True):
    """One key of a tiny model's config set to the first value of a chain that transformers accepts.

    `base` is "saved", the config.json that transformers writes, or "sparse", what the tiny model states alone.
    """

    tiny: Tiny
    base: str
    path: tuple[str, ...]
    chain: Chain
    # own: a key of the class; spelling: of its attribute_map; other: of other classes; published: as some config has it.
    kind: str = "own"
    # A key that goes, because another spelling of it comes.
    without: str = ""

    @property
    def key(self) -> str:
        """The key with those above it."""
        return ".".join(self.path)

    def config(self, value: Any) -> dict[str, Any]:
        """The changed config."""
        keys = copy.deepcopy(base_of(self.tiny, self.base))
        keys.pop(self.without, None)
        part = keys
        for step in self.path[:-1]:
            part = part[step]
        if value is ABSENT:
            part.pop(self.path[-1], None)
        else:
            part[self.path[-1]] = copy.deepcopy(value)
        return keys


def class_of(tiny: Tiny) -> Any:
    """The config class of a tiny model."""
    return getattr(transformers, f"{tiny.kind}Config")


# The sizes of a base where its tiny model rotates a single pair, of which no theta makes a difference.
WIDER: dict[str, dict[str, Any]] = {
    "GPTNeoX": {"hidden_size": 96}, "Phi": {"hidden_size": 96}, "StableLm": {"hidden_size": 96},
    "Nemotron": {"head_dim": 12}, "Glm4Moe": {"head_dim": 12}, "Bamba": {"hidden_size": 96},
}  # fmt: skip


@cache
def _bases(index: str, kind: str, keys: str) -> dict[str, dict[str, Any]]:
    config = getattr(transformers, f"{kind}Config")
    given = json.loads(keys)
    saved = json.loads(config(**json.loads(keys)).to_json_string(use_diff=False))
    saved.pop("transformers_version", None)
    return {"saved": saved, "sparse": given | {"model_type": config.model_type}}


def base_of(tiny: Tiny, base: str) -> dict[str, Any]:
    """The config of a tiny model as it is saved, or as it is stated."""
    return _bases(tiny.name, tiny.kind, json.dumps(tiny.keys | WIDER.get(tiny.kind, {})))[base]


def changes(tiny: Tiny) -> Iterator[Change]:
    """Every change of one key, each once."""
    seen = set()
    for change in _changes(tiny):
        token = json.dumps([change.config(value) for value in change.chain], sort_keys=True, default=repr)
        if token not in seen:
            seen.add(token)
            yield change


def _changes(tiny: Tiny) -> Iterator[Change]:
    config = class_of(tiny)
    saved, sparse = base_of(tiny, "saved"), base_of(tiny, "sparse")
    for field in dataclasses.fields(config):
        yield from _of_field(tiny, "saved", (field.name,), field.type, saved.get(field.name))
    for field in dataclasses.fields(config):
        if field.name in sparse or not isinstance(saved.get(field.name), dict):
            yield from _of_field(tiny, "sparse", (field.name,), field.type, saved.get(field.name))
    for spelled, meant in config.attribute_map.items():
        if spelled in ELSEWHERE or meant not in saved:
            continue
        for chain in chains(meant, None, saved[meant]):
            yield Change(tiny, "saved", (spelled,), chain, "spelling")
        for base in ("saved", "sparse"):
            yield Change(tiny, base, (spelled,), (saved[meant],), "spelling", without=meant)
    depth = getattr(config(**tiny.keys), "num_hidden_layers", 3)
    yield from _published(tiny)
    fields = {field.name for field in dataclasses.fields(config)} | set(config.attribute_map)
    for key, values in OTHERS.items():
        if key not in fields:
            for value in values:
                if isinstance(value, list) and key != "mlp_only_layers":
                    # One for each layer.
                    value = (value * depth)[:depth]
                yield Change(tiny, "saved", (key,), (value,), "other")
                if key.startswith(("rope", "rotary", "partial", "layer_types", "first_k", "sliding", "no_rope")):
                    yield Change(tiny, "sparse", (key,), (value,), "other")


def _published(tiny: Tiny) -> Iterator[Change]:
    """Each setting that a published config of the type has: all but sizes, which only fit each other."""
    for config in published().get(class_of(tiny).model_type, ()):
        for key, value in config.items():
            is_setting = value is None or isinstance(value, bool | str | float | dict)
            if is_setting and key not in ELSEWHERE and not key.startswith(("_", "quantization", "auto_map")):
                yield Change(tiny, "saved", (key,), (value,), "published")


@cache
def published() -> dict[str, list[dict[str, Any]]]:
    """The configs of fixtures/published by model type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(PUBLISHED.glob("*.json")):
        config = json.loads(path.read_text())["config"]
        found.setdefault(config.get("model_type", ""), []).append(config)
    return found


def _of_field(tiny: Tiny, base: str, path: tuple[str, ...], annotation: Any, value: Any) -> Iterator[Change]:
    if path[-1] in ELSEWHERE or "dropout" in path[-1] or path[-1].endswith("token_id"):
        return
    for chain in chains(path[-1], annotation, value):
        yield Change(tiny, base, path, chain)
    if value is not None:
        yield Change(tiny, base, path, (None,))
    yield Change(tiny, base, path, (ABSENT,))
    if isinstance(value, dict) and not path[-1].startswith("rope"):
        for key, part in value.items():
            yield from _of_field(tiny, base, (*path, key), _annotation(tiny, path, key), part)


def _annotation(tiny: Tiny, path: tuple[str, ...], key: str) -> Any:
    """What the class of a nested config says of a key."""
    nested = getattr(class_of(tiny)(**tiny.keys), path[0], None)
    if not dataclasses.is_dataclass(nested):
        return None
    return {field.name: field.type for field in dataclasses.fields(nested)}.get(key)


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configs say the same."""
    return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)


@cache
def all_changes() -> dict[str, list[Change]]:
    """By model type: every change of its first tiny model, and of its own keys for each of the others."""
    found: dict[str, list[Change]] = {}
    for tiny in TINY:
        model_type = class_of(tiny).model_type
        if tiny.model.startswith("For") and tiny.model not in ("ForCausalLM", "ForConditionalGeneration"):
            continue
        if tiny.model == "Model" and model_type in found:
            continue
        made = changes(tiny)
        if model_type in found:
            found[model_type] += [change for change in made if change.kind == "own" or change.key == "layer_types"]
        else:
            found[model_type] = list(made)
    return found
