"""The types whose pass in transformers was measured: of others nobody knows whether an estimate is near."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weightscope.analyses.memory.kept import keeps
from weightscope.components.base import Component
from weightscope.components.live import Widths
from weightscope.config import FLAT, LANGUAGE, Config

# Their mixtures multiply what an expert gives by a share in float32; others by one in the computation's type.
WIDE_SHARES = frozenset(
    {
        "afmoe", "deepseek_v2", "deepseek_v3", "dots1", "exaone_moe", "glm4_moe", "glm4_moe_lite", "glm4v_moe_text",
        "hy_v3", "minimax_m2", "mixtral", "solar_open",
    }
)  # fmt: skip
# Their routers get what enters in float32.
WIDE_ROUTERS = frozenset({"deepseek_v3", "dots1", "ernie4_5_moe", "glm4_moe", "glm4_moe_lite", "solar_open"})
# In their mixtures the shared experts compute before the others.
SHARED_FIRST = frozenset({"ernie4_5_moe", "hunyuan_v1_moe"})
# How many copies of a score their attention holds at once, in float32 and in bfloat16, and how many while the rest of
# the layer computes. It goes by no kernel, because of capped scores, sinks or biases, or because the modules are older
# than kernels; these keep the shares of the layer before, too. Torch makes Falcon's where one key serves all heads.
SCORES = {
    "bloom": (4, 7, 2), "codegen": (3, 5, 2), "falcon": (2, 4, 0), "flint": (3, 6, 1), "gemma2": (2, 5, 1),
    "gpt_neo": (3, 5, 2), "gpt_oss": (3, 3, 1), "gptj": (3, 5, 2), "granite_swa": (2, 5, 1),
    "granitemoe_swa": (2, 5, 1), "mimo_v2_flash": (2, 2, 1), "mpt": (3, 6, 2), "vaultgemma": (2, 5, 1),
}  # fmt: skip
# How many vectors of the model's width the first half of their layers leaves alive while the second one computes.
LEFT = {"stablelm": 2}
# Types whose pass was measured.
PASSES = WIDE_SHARES | {
    "apertus", "arcee", "aria_text", "axk1", "bert", "bitnet", "bloom", "codegen", "cohere", "cohere2", "cohere2_moe",
    "cwm", "deepseek_v32", "electra", "ernie4_5", "ernie4_5_moe", "ernie4_5_vl_moe_text", "exaone4", "falcon",
    "flex_olmo", "flint", "gemma", "gemma2", "gemma3_text", "gemma4_text", "gemma4_unified_text", "glm", "glm4",
    "glm4v_text", "glm_moe_dsa", "glm_ocr_text", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj",
    "granite", "granite_swa", "granitemoe", "granitemoe_swa", "granitemoeshared", "helium", "hunyuan_v1_dense",
    "hunyuan_v1_moe", "hunyuan_vl_text", "hyperclovax", "internlm3", "jais2", "laguna", "lfm2", "lfm2_moe", "lfm3",
    "llama", "llama4_text", "longcat_flash", "mellum", "mimo_v2_flash", "minicpm3", "ministral", "ministral3",
    "mistral", "mistral4", "mpt", "nanochat", "nemotron", "olmo", "olmo2", "olmo3", "olmoe", "opt",
    "paddleocr_vl_text", "persimmon", "phi", "phi3", "phi4_multimodal", "phimoe", "qwen2", "qwen2_5_omni_text",
    "qwen2_5_vl_text", "qwen2_moe", "qwen2_vl_text", "qwen3", "qwen3_moe", "qwen3_omni_moe_text", "qwen3_vl_moe_text",
    "qwen3_vl_text", "roberta", "seed_oss", "smollm3", "stablelm", "starcoder2", "vaultgemma", "youtu",
}  # fmt: skip
# Types whose training step was measured.
STEPS = frozenset(
    {
        "afmoe", "arcee", "bitnet", "codegen", "cohere", "cohere2", "cwm", "deepseek_v2", "deepseek_v3",
        "dots1", "ernie4_5", "ernie4_5_moe", "exaone4", "exaone_moe", "flex_olmo", "gemma", "gemma2", "gemma3_text",
        "glm", "glm4", "glm4_moe", "glm4_moe_lite", "glm4v_text", "gpt2", "gpt_neo", "gpt_neox", "gptj", "granite",
        "granitemoe", "granitemoeshared", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax",
        "internlm3", "jais2", "laguna", "lfm2", "lfm2_moe", "lfm3", "llama", "mellum", "minicpm3", "minimax_m2",
        "ministral", "ministral3", "mistral", "mixtral", "nemotron", "olmo", "olmo2", "olmo3", "olmoe",
        "opt", "persimmon", "phi", "phi3", "phimoe", "qwen2", "qwen2_5_vl_text", "qwen2_moe", "qwen2_vl_text", "qwen3",
        "qwen3_moe", "qwen3_vl_moe_text", "qwen3_vl_text", "seed_oss", "smollm3", "solar_open", "stablelm",
        "starcoder2", "youtu",
    }
)  # fmt: skip


def widths_of(model_type: str, float32: int) -> Widths:
    """What elements take where one of float32 takes so many of the computation's."""
    narrow, wide, kept = SCORES.get(model_type, (0, 0, 0))
    return Widths(
        float32=float32,
        shares=float32 if model_type in WIDE_SHARES else 1,
        router=float32 if model_type in WIDE_ROUTERS and float32 > 1 else 0,
        scores=wide if float32 > 1 else narrow,
        kept_scores=kept,
        left=LEFT.get(model_type, 0),
    )


def unmeasured_recurrence(parts: Iterable[Component]) -> str:
    """Why there is no estimate for layers with a recurrence; empty where none of the parts has one."""
    recurrent = next((part for part in parts if keeps(part, "recurrence")), None)
    return f"{recurrent.word} layers need far more in plain torch than in their GPU kernels" if recurrent else ""


def language_part(config: Config | None) -> Mapping[str, Any]:
    """The config of the part that writes: of a wrapper that of its language model."""
    data = config.data if config else {}
    return next((data[key] for key in LANGUAGE if isinstance(data.get(key), dict)), data)


def language_type(config: Config | None) -> str:
    """The model type of the part that writes."""
    found = language_part(config).get("model_type") or (config.data.get("model_type") if config else None)
    return FLAT.get(found, found) if isinstance(found, str) else ""
