"""The layers of Meta's and Mistral's own releases: Llama's, under the names of the models' first code.

Sources: meta-llama/llama `llama/model.py`; mistral-inference `transformer_layers.py` and `moe.py`. Neighbouring
elements of a head turn together, so the rows of q and k lie otherwise than in transformers' form of the same model.
"""

from __future__ import annotations

from weightscope.components.base import Component
from weightscope.components.buffers import Buffers
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.parts import gated_mlp, linears, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size

PROJECTIONS = {"wq": Role.Q_PROJ, "wk": Role.K_PROJ, "wv": Role.V_PROJ, "wo": Role.O_PROJ}
# Gate, up and down.
MATRICES = ("w1", "w3", "w2")


def original(config: Config, feed_forward: Component | None = None, *, window: Size | None = None) -> CausalLM:
    """The model; its MLP is the dense one unless another is given, and without a window all of the past is seen."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope = rotary(config, s.head_dim, interleaved=True)
    block = Block(
        input_norm=norm("attention_norm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s, linears(PROJECTIONS), name="attention", positions=rope, sees=visible(config, window)
        ),
        feed_forward_norm=norm("ffn_norm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=feed_forward or gated_mlp(config, "feed_forward", names=MATRICES),
    )
    return causal_lm(
        config,
        "",
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        embedding=token_embedding(config, "tok_embeddings"),
        output=Output(name="output"),
        extras=(Buffers(name="rope", items=(rope.table("freqs"),)),),
    )
