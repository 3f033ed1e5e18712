"""DBRX: experts one after another in two-dimensional tensors. Source: `DbrxConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.mlp import GatedMLP
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common.dims import depth_of
from weightscope.families.common.mixtures import stacked_experts
from weightscope.families.common.parts import head, layer_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

ATTENTION = {"clip_qkv": Nullable(float), "kv_n_heads": 1, "rope_theta": 10000.0}
EXPERTS = {"ffn_act_fn": Nullable(object), "ffn_hidden_size": 3584, "moe_num_experts": 4, "moe_top_k": 1}
FFN = EXPERTS | {"moe_normalize_expert_weights": Nullable(float, 1.0)}
ALIASES = {"hidden_size": "d_model", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}
ITEMS = (
    Stacked("w1", Role.GATE_PROJ, flat=True),
    Stacked("v1", Role.UP_PROJ, flat=True),
    Stacked("w2", Role.DOWN_PROJ, flat=True, transposed=True),
)


@family("dbrx", roots=("transformer", ""), defaults={"tie_word_embeddings": False}, aliases=ALIASES)
def dbrx(config: Config, root: str) -> CausalLM:
    """A block's norms lie beside its attention."""
    width, norm = config["hidden_size"], layer_norms(1e-5, bias=False)
    block = Block(
        input_norm=norm("norm_attn_norm.norm_1", Role.INPUT_NORM, width),
        attention=attention(config, config.nested("attn_config").with_defaults(ATTENTION, {})),
        feed_forward_norm=norm("norm_attn_norm.norm_2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mixture(width, config.nested("ffn_config").with_defaults(FFN, {})),
    )
    depth, embedding = depth_of(config), Embedding(name="wte", rows=config["vocab_size"], width=width)
    blocks, last = (Repeat(name="blocks", indices=range(depth), child=block),), norm("norm_f", Role.FINAL_NORM, width)
    decoder = Decoder(name=root, embedding=embedding, blocks=blocks, final_norm=last, depth=depth)
    return CausalLM(decoder=decoder, head=head(config, root))


def attention(config: Config, inner: Config) -> Attention:
    """The rotation's theta is `attn_config`'s, as in DBRX's own code; transformers 5 looks for it elsewhere."""
    width, heads, fused = config["hidden_size"], config["num_attention_heads"], (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
    return Attention(
        name="norm_attn_norm.attn",
        items=(Linear("Wqkv", *fused), Linear("out_proj", Role.O_PROJ)),
        width=width,
        heads=heads,
        kv_heads=inner["kv_n_heads"],
        head_dim=width // heads,
        rope=rotary(inner, width // heads),
        clip=inner["clip_qkv"],
    )


def mixture(width: Size, config: Config) -> MixtureOfExperts:
    """Weights divided by their norm of the power that the config says, 1 unless told otherwise."""
    named, power = config["ffn_act_fn"], config["moe_normalize_expert_weights"]
    activation = named.get("name", "silu") if isinstance(named, dict) else named or "silu"
    experts, chosen = config["moe_num_experts"], config["moe_top_k"]
    expert = GatedMLP(name="", items=(), width=width, inner=config["ffn_hidden_size"], activation=activation)
    return MixtureOfExperts(
        name="ffn",
        width=width,
        experts=experts,
        chosen=chosen,
        expert=expert,
        routing=Routing(normalize=power is not None, power=float(power or 1)),
        stacked=stacked_experts(expert, experts, chosen, name="experts.mlp", items=ITEMS),
        router="router.layer",
    )
