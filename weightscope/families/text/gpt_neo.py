"""GPT-Neo (Black et al. 2021): every other layer sees a window, scores are not scaled. Source: `GPTNeoConfig`."""

from __future__ import annotations

from contextlib import suppress

from weightscope.components.attention import CAUSAL, Attention, Scores, Window
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, Output, causal_lm, layer_norms, token_embedding
from weightscope.families.common.parts import linears
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import GPT, causal_masks, learned_positions, two_matrices
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GPT_NEO = GPT | {
    "max_position_embeddings": 2048, "hidden_size": 2048, "num_layers": 24, "num_heads": 16,
    "intermediate_size": Nullable(int), "attention_types": Nullable(list, [[["global", "local"], 12]]),
    "attention_layers": Nullable(list), "window_size": 256,
}  # fmt: skip
NAMES = {"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads"}
THREE = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ}


@family("gpt_neo", roots=("transformer", ""), defaults=GPT_NEO, attribute_map=NAMES)
def gpt_neo(config: Config, root: str) -> CausalLM:
    """Masks are the class's own, and causal whatever `is_causal` says."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_epsilon"])
    positions = config["max_position_embeddings"]
    projections = (*linears(THREE), Linear("out_proj", Role.O_PROJ, bias=True), *causal_masks(positions))
    kinds, window = _kinds(config, s.depth), Window(int(config["window_size"]))

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("ln_1", Role.INPUT_NORM, s.width),
            attention=Attention(
                name="attn.attention",
                projections=projections,
                width=s.width,
                heads=s.heads,
                sees=window if kinds[i] == "local" else CAUSAL,
                scores=Scores(scale=1.0),
            ),
            feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, s.width),
            feed_forward=two_matrices(s.width, config["intermediate_size"], config["activation_function"]),
        )

    return causal_lm(
        config,
        root,
        layer,
        embedding=token_embedding(config, "wte"),
        positions=learned_positions("wpe", positions, s.width),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        output=Output(classifier="classifier"),
    )


def _kinds(config: Config, depth: int) -> list[str]:
    """One for each layer; `attention_types` has lists of them and how often each comes."""
    key, kinds, groups = "attention_layers", config["attention_layers"], config["attention_types"]
    if kinds is None:
        key, kinds = "attention_types", []
        with suppress(TypeError, ValueError):
            if sum(len(listed) * max(times, 0) for listed, times in groups) == depth:
                kinds = [kind for listed, times in groups for kind in listed * times]
    if len(kinds) != depth or not all(kind in ("global", "local") for kind in kinds):
        raise config.error(f"{key} does not name {depth:,} layers, as num_layers says")
    return list(kinds)
