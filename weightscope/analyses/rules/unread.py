"""Does the config say something of the architecture that the model's declaration takes no account of?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weightscope.analyses.rules.subject import Subject
from weightscope.families.declaration import Declaration
from weightscope.findings import Finding
from weightscope.roles import Role

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


# Names of one setting: a config may have several of them, and its class reads one.
SYNONYMS: tuple[frozenset[str], ...] = (
    frozenset({"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"}),
    frozenset({"sliding_window", "sliding_window_size", "attention_chunk_size"}),
)
HEAD_NORMS = frozenset({"qk_norm", "use_qk_norm"})


def unread_keys(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, info: keys of the architecture that the class does not have, with values that matter."""
    declaration = subject.declaration
    if declaration is None or declaration.part:
        return
    data = declaration.config.data
    keys = [
        key for key, neutral in NEUTRAL.items()
        if key in data and not is_idle(data[key], neutral) and not _is_known(key, data[key], declaration)
    ]  # fmt: skip
    if keys:
        said = ", ".join(f"{key} {data[key]!r:.40}" for key in keys)
        these = "this key" if len(keys) == 1 else "these keys"
        yield Finding(
            code="config-invalid",
            severity="info",
            message=f"config.json says {said}, but {declaration.family.model_type} ignores {these}",
            config=tuple(keys),
            hint="check model_type: the transformers class of this type ignores such keys",
        )


def _is_known(key: str, value: object, declaration: Declaration) -> bool:
    """Whether the class has the key, though it may not need it here, or the model has what the key says anyway."""
    data, read = declaration.config.data, declaration.config.read
    if key in read or key in read.classes:
        return True
    if key in HEAD_NORMS:
        return any(role is Role.Q_NORM for slot in declaration.slots for role, _ in slot.stored.parts)
    names = next((names for names in SYNONYMS if key in names), frozenset())
    return any(name in read and data.get(name) == value for name in names)


def is_idle(value: object, neutral: tuple[object, ...]) -> bool:
    """Whether the key is there and changes nothing."""
    return value is None or value is False or (not isinstance(value, bool) and value in neutral)
