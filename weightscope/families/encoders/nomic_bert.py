"""NomicBERT (arXiv 2402.01613): BERT with a rotation and a gated MLP. Sources: Nomic's code, transformers' class."""

from __future__ import annotations

from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.defaults import ROPE
from weightscope.families.common.encoders import classes, heads_of, masked, pooler, transform
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.refusals import refuse, require
from weightscope.families.registry import family
from weightscope.families.siblings.turning_bert import HELD, embeddings, layers, published, roots_of
from weightscope.roles import Role

NOMIC = ROPE | {
    "vocab_size": 30528, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "silu", "max_position_embeddings": 2048, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12, "tie_word_embeddings": True, "rope_theta": 1000.0, "head_dim": Nullable(int),
    "is_causal": Nullable(bool),
    # Keys of Nomic's own code, which has other layers too.
    "activation_function": "swiglu", "prenorm": False, "qkv_proj_bias": False, "mlp_fc1_bias": False,
    "mlp_fc2_bias": False, "use_rms_norm": False, "parallel_block": False, "rotary_emb_interleaved": False,
    "rotary_emb_fraction": 1.0, "rotary_scaling_factor": Nullable(float), "num_experts": 0,
}  # fmt: skip
# Nomic's own names, in published configs.
MAP = {
    "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads",
    "n_inner": "intermediate_size", "n_positions": "max_position_embeddings", "layer_norm_epsilon": "layer_norm_eps",
    "rotary_emb_base": "rope_theta",
}  # fmt: skip
UNSET = (
    "prenorm", "qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "use_rms_norm", "parallel_block",
    "rotary_emb_interleaved", "rotary_scaling_factor", "num_experts",
)  # fmt: skip


@family(
    "nomic_bert", roots=roots_of("nomic_bert"), defaults=NOMIC, attribute_map=MAP,
    needs=("hidden_size", "num_hidden_layers"),
)  # fmt: skip
def nomic_bert(config: Config, root: str) -> EncoderModel:
    """Only a classifier has the pooler."""
    refuse(config, "NomicBERT", UNSET)
    require(config, "NomicBERT", {"activation_function": "swiglu", "rotary_emb_fraction": 1.0})
    prefix, _, held = root.partition(", ")
    names = HELD if held else published("attn")
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    feed_forward = gated_mlp(
        config, "mlp", names=("gate_proj", "up_proj", "down_proj") if held else ("fc12", "fc11", "fc2")
    )
    before = transform(s.width, config["hidden_act"], norm("layer_norm", Role.NORM, s.width), name="transform")
    known = {
        "MaskedLM": (masked(config, s.width, before, name="cls.predictions"),),
        "SequenceClassification": (classes(s.width, config.labels, of="pooled"),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
    }
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=embeddings(config, s.width, norm, names),
            blocks=layers(config, s, norm, names, feed_forward, bias=False),
            pooler=pooler(s.width, unused=config.task != "SequenceClassification"),
            depth=s.depth,
        ),
        heads=heads_of(config, known),
    )
