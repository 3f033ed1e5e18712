"""OLMo 2 (arXiv 2501.00656) and 3: norms after each half. Sources: `Olmo2Config`, `Olmo3Config` of transformers."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.registry import family
from weightscope.families.siblings.olmo import post_norm_block
from weightscope.roles import Role

OLMO2 = LLAMA | {"vocab_size": 50304, "rms_norm_eps": 1e-5}
THETA = 500000.0
OLMO3 = OLMO2 | {"sliding_window": Nullable(int, 4096), "layer_types": Nullable(list), "rope_theta": THETA}


@family("olmo2", roots=("model", ""), defaults=OLMO2)
def olmo2(config: Config, root: str) -> CausalLM:
    """Norms after each half and none before."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"], wide=True)
    block = post_norm_block(config, s, positions=rotary(config, s.head_dim, steps="float32"), sees=visible(config))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


@family("olmo3", roots=("model", ""), defaults=OLMO3)
def olmo3(config: Config, root: str) -> CausalLM:
    """Three layers with a window, then one without, which alone has a scaled rotation."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"], wide=True)
    kinds = layer_types(config, lambda i: SLIDING if (i + 1) % 4 else FULL)

    def layer(i: int) -> Block:
        slides = kinds[i] == SLIDING
        # The class gives `rope_theta` to full_attention alone.
        rope = rotary(config, s.head_dim, layers=kinds[i], theta=THETA if slides else None, steps="float32")
        sees = visible(config, config["sliding_window"] if slides else None)
        return post_norm_block(config, s, positions=rope, sees=sees)

    return causal_lm(config, root, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
