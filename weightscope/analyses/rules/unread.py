"""Does the config say something of the architecture that the model's declaration takes no account of?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weightscope.analyses.rules.subject import Subject
from weightscope.families.registry import Declaration
from weightscope.findings import Finding

# Keys that change what a model stores or computes, each with the values under which it changes nothing.
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    **dict.fromkeys(
        (
            "attention_bias", "mlp_bias", "qkv_bias", "use_bias", "use_qkv_bias", "qk_norm", "use_qk_norm",
            "use_sliding_window", "add_cross_attention", "tie_encoder_decoder", "use_parallel_residual", "alibi",
            "parallel_attn", "scale_attn_by_inverse_layer_idx", "use_mrope", "attention_sinks", "norm_after",
        ),
        (False,),
    ),
    **dict.fromkeys(
        (
            "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "n_shared_experts",
            "num_nextn_predict_layers", "q_lora_rank", "kv_lora_rank", "sliding_window", "attention_chunk_size",
        ),
        (0, 1, -1),
    ),
    **dict.fromkeys(
        ("attn_logit_softcapping", "final_logit_softcapping", "logits_soft_cap", "clip_qkv", "attn_logit_cap"), (0,)
    ),
    **dict.fromkeys(
        (
            "partial_rotary_factor", "rotary_pct", "embedding_multiplier", "residual_multiplier", "logits_scaling",
            "attention_multiplier", "logit_scale", "scale_emb", "mup_scale",
        ),
        (1,),
    ),
}  # fmt: skip


def unread_keys(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, info: keys of the architecture that the declaration does not read, with values that matter."""
    declaration = subject.declaration
    if declaration is None or declaration.part:
        return
    data = declaration.config.data
    keys = [
        key
        for key, neutral in NEUTRAL.items()
        if key in data and not is_idle(data[key], neutral) and not _is_read(key, declaration)
    ]
    if keys:
        said = ", ".join(f"{key} {data[key]!r:.40}" for key in keys)
        yield Finding(
            code="config-invalid",
            severity="info",
            message=f"config.json says {said}, but {declaration.family.model_type} ignores this key",
            config=tuple(keys),
            hint="check model_type: the transformers class of this type ignores such keys",
        )


def _is_read(key: str, declaration: Declaration) -> bool:
    """Whether the key was read, or another spelling of it with the same value."""
    data, spellings = declaration.config.data, declaration.family.attribute_map
    own = spellings.get(key, key)
    read = [other for other in declaration.config.read if spellings.get(other, other) == own]
    return any(other == key or data.get(other) == data[key] for other in read)


def is_idle(value: object, neutral: tuple[object, ...]) -> bool:
    """Whether the key is there and changes nothing."""
    return value is None or value is False or (not isinstance(value, bool) and value in neutral)
