"""DeepSeek-V3 (arXiv 2412.19437) and Kimi K2: latent attention, a mixture with a shared expert, token prediction ahead.

Sources: `DeepseekV3Config` of transformers; the names of the multi-token prediction layer from DeepSeek's checkpoints.
"""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common.latent import DEEPSEEK, decoder
from weightscope.families.common.mixtures import ROOTS
from weightscope.families.registry import family


@family("deepseek_v3", roots=ROOTS, defaults=DEEPSEEK)
@family("kimi_k2", roots=ROOTS, defaults=DEEPSEEK | {"num_nextn_predict_layers": Nullable(int, 0)})
def deepseek_v3(config: Config, root: str) -> CausalLM:
    """Kimi K2 publishes no layer that predicts ahead."""
    return decoder(config, root)
