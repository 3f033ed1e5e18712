"""OPT (arXiv 2205.01068): learned positions from the third row on. Source: `OPTConfig` of transformers."""

from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.projection import Projection
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Dims, Output, layer_norms, numbered, visible
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import learned_positions
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import join

OPT = DECODER | {
    "vocab_size": 50272, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "ffn_dim": 3072,
    "max_position_embeddings": 2048, "activation_function": "relu", "do_layer_norm_before": True,
    "_remove_final_layer_norm": False, "word_embed_proj_dim": Nullable(int), "enable_bias": True,
    "layer_norm_elementwise_affine": True, "tie_word_embeddings": True,
}  # fmt: skip
FOUR = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


@family("opt", roots=("model", ""), defaults=OPT)
def opt(config: Config, root: str) -> CausalLM:
    """OPT-350m norms the sums instead, and its embeddings are narrower than its layers."""
    s, bias, before = Dims.of(config, even=True), config["enable_bias"], config["do_layer_norm_before"]
    norm = layer_norms(1e-5, weighted=config["layer_norm_elementwise_affine"])
    attention = self_attention(s, linears(FOUR, bias=bias), positions=None, sees=visible(config))
    activation = config["activation_function"]
    feed_forward = mlp(s.width, config["ffn_dim"], activation, name="", names=("fc1", "fc2"), bias=bias)
    first = norm("self_attn_layer_norm", Role.INPUT_NORM if before else Role.POST_ATTENTION_NORM, s.width)
    second = norm("final_layer_norm", Role.POST_ATTENTION_NORM if before else Role.POST_FEEDFORWARD_NORM, s.width)
    block = Block(
        input_norm=first if before else None,
        attention=attention,
        attention_out_norm=None if before else first,
        feed_forward_norm=second if before else None,
        feed_forward=feed_forward,
        feed_forward_out_norm=None if before else second,
        norms_sums=not before,
    )
    narrow = s.width if config["word_embed_proj_dim"] is None else config["word_embed_proj_dim"]
    wide, last = narrow == s.width, before and not config["_remove_final_layer_norm"]
    decoder = Decoder(
        name=join(root, "decoder"),
        embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=narrow),
        widen=None if wide else _projection("project_in", Role.EMBEDDING_PROJ, narrow, s.width),
        positions=learned_positions("embed_positions", config["max_position_embeddings"], s.width, offset=2),
        blocks=numbered("layers", s.depth, lambda _: block),
        final_norm=norm("final_layer_norm", Role.FINAL_NORM, s.width) if last else None,
        narrow=None if wide else _projection("project_out", Role.OUTPUT_PROJ, s.width, narrow),
        depth=s.depth,
    )
    return CausalLM(decoder=decoder, head=Output().of(config, root, narrow))


def _projection(name: str, role: Role, inputs: Size, outputs: Size) -> Projection:
    return Projection(name=name, role=role, inputs=inputs, outputs=outputs, bias=False)
