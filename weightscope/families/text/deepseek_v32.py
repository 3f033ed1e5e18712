"""DeepSeek-V3.2 and GLM-5: DeepSeek-V3 with an indexer that chooses the positions a token sees.

Sources: `DeepseekV32Config` and `GlmMoeDsaConfig` of transformers.
"""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.latent import DEEPSEEK, decoder
from weightscope.families.common.mixtures import ROOTS
from weightscope.families.registry import family

DEEPSEEK_V32 = DEEPSEEK | {
    "max_position_embeddings": 163840,
    "num_nextn_predict_layers": Nullable(int, 0),
    "index_topk": 2048,
    "index_head_dim": 128,
    "index_n_heads": 64,
}
GLM_MOE_DSA = DEEPSEEK_V32 | {
    "vocab_size": 154880,
    "hidden_size": 6144,
    "intermediate_size": 12288,
    "num_hidden_layers": 78,
    "num_attention_heads": 64,
    "n_group": Nullable(int, 1),
    "topk_group": Nullable(int, 1),
    "q_lora_rank": Nullable(int, 2048),
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 202752,
    "index_n_heads": 32,
    "index_topk_freq": 1,
    "index_skip_topk_offset": 2,
}
KINDS = {"full": True, "shared": False, "F": True, "S": False}


@family("deepseek_v32", roots=ROOTS, defaults=DEEPSEEK_V32)
def deepseek_v32(config: Config, root: str) -> CausalLM:
    """Every layer has its indexer, whose rotation pairs halves though attention's pairs neighbours."""
    return decoder(config, root, indexed=lambda _: True)


@family("glm_moe_dsa", roots=ROOTS, defaults=GLM_MOE_DSA)
def glm_moe_dsa(config: Config, root: str) -> CausalLM:
    """Some layers see the positions that an indexer before them chose (GLM-5.2); what predicts ahead has no copies."""
    return decoder(config, root, indexed=indexed(config), indexer_interleaved=True, copies=False)


def indexed(config: Config) -> Callable[[int], bool]:
    """Which layers have an indexer: by their list, a pattern of letters, or every so many after the first."""
    depth = config["num_hidden_layers"]
    kinds = config.get("indexer_types") or config.get("index_topk_pattern")
    if kinds is None:
        every, offset = max(int(config["index_topk_freq"]), 1), int(config["index_skip_topk_offset"])
        return lambda layer: max(layer - offset + 1, 0) % every == 0
    if not isinstance(kinds, list | str) or len(kinds) != depth or not set(kinds) <= KINDS.keys():
        raise config.error(f"indexer_types does not say full or shared for {depth:,} layers")
    if not KINDS[kinds[0]]:
        raise UndeclaredError("the first layer shares an indexer's choice, and none is before it", where=config.source)
    return lambda layer: KINDS[kinds[layer]]
