"""T5 and its kin: an encoder, and a decoder that looks at it."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.gguf.architecture import Architecture, Settings
from weightscope.gguf.keys import Keys
from weightscope.roles import Role

NAMES = {Role.O_PROJ: "attn_o", Role.RELATIVE_POSITION: "attn_rel_b", Role.CROSS_NORM: "cross_attn_norm"}
STACKS = {"encoder": "enc.", "decoder": "dec."}
# Of a model of one layer nothing tells whether each has relative positions; of those that are known, UMT5's have.
SECOND = "enc.blk.1.attn_rel_b.weight"


def _t5(keys: Keys) -> Settings:
    gated = "enc.blk.0.ffn_gate.weight" in keys.names
    return {
        "d_model": keys.needed("embedding_length"),
        "d_kv": keys.needed("attention.key_length"),
        "d_ff": keys.needed("feed_forward_length"),
        "num_layers": keys.needed("block_count"),
        "num_decoder_layers": keys.whole("decoder_block_count"),
        "num_heads": keys.needed("attention.head_count"),
        "relative_attention_num_buckets": keys.whole("attention.relative_buckets_count"),
        "layer_norm_epsilon": keys.number("attention.layer_norm_rms_epsilon"),
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "decoder_start_token_id": keys.whole("decoder_start_token_id"),
        # The usual names of the same.
        **dict.fromkeys(
            (
                "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                "max_position_embeddings",
            )
        ),
    }  # fmt: skip


def _encoder(keys: Keys) -> Settings:
    return _t5(keys) | {"architectures": ["T5EncoderModel"], "decoder_start_token_id": None}


def _own_head(keys: Keys) -> tuple[str, ...]:
    """The spelling with a head of its own, where the file has one."""
    if "output.weight" not in keys.names:
        return ()
    from weightscope.families.siblings.t5_model import APART

    return (APART,)


def t5_of(keys: Keys) -> Architecture:
    """T5, or UMT5, of which each layer has relative positions of its own."""
    return UMT5 if SECOND in keys.names else T5


def encoder_of(keys: Keys) -> Architecture:
    """The encoder of either."""
    return UMT5_ENCODER if SECOND in keys.names else T5_ENCODER


T5 = Architecture(model_type="t5", settings=_t5, names=NAMES, stacks=STACKS, spellings=_own_head)
UMT5 = replace(T5, model_type="umt5")
T5_ENCODER = replace(T5, settings=_encoder)
UMT5_ENCODER = replace(UMT5, settings=_encoder)
