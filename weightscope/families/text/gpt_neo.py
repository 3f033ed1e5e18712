"""GPT-Neo (Black et al. 2021): every other layer sees a window, scores are not scaled. Source: `GPTNeoConfig`."""

from contextlib import suppress

from weightscope.components.attention import CAUSAL, Scores, Window
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import GPT, causal_masks, gpt2_block, gpt2_lm
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
    s, masks = Dims.of(config, even=True), causal_masks(config["max_position_embeddings"])
    kinds, window = _kinds(config, s.depth), Window(int(config["window_size"]))

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            (*linears(THREE), Linear("out_proj", Role.O_PROJ, bias=True), *masks),
            name="attn.attention",
            sees=window if kinds[i] == "local" else CAUSAL,
            scores=Scores(scale=1.0),
        )
        return gpt2_block(config, attention, config["intermediate_size"])

    return gpt2_lm(config, root, layer)


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
