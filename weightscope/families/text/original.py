"""Original releases: Llama 1 to 3 as Meta's `consolidated.*.pth`, Mistral and Mixtral as `consolidated*.safetensors`.

Their `params.json` names no type; `families/params_json.py` tells it by its keys.
"""

from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, MISTRAL, Dims
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.original import MATRICES, original

MIXTRAL = MISTRAL | {"num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": Nullable(int)}


@family("llama_original", roots=("",), defaults=LLAMA)
def llama_original(config: Config, root: str) -> CausalLM:  # noqa: ARG001 - there is one spelling
    """No biases, no windows."""
    return original(config)


@family("mistral_original", roots=("",), defaults=MISTRAL)
def mistral_original(config: Config, root: str) -> CausalLM:  # noqa: ARG001 - there is one spelling
    """Llama with a window, if `sliding_window` is set."""
    return original(config, window=config["sliding_window"])


@family("mixtral_original", roots=("",), defaults=MIXTRAL)
def mixtral_original(config: Config, root: str) -> CausalLM:  # noqa: ARG001 - there is one spelling
    """Mistral with experts that are numbered below the MLP's name, beside their gate."""
    mixture = MixtureOfExperts(
        name="feed_forward",
        width=Dims.of(config).width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, "", names=MATRICES),
    )
    return original(config, mixture, window=config["sliding_window"])
