"""The architectures of llama.cpp that are read as a declared model type.

Sources: llama.cpp's `conversion/*.py` for keys and changed values, its `src/models/*.cpp` for what keys leave out.
"""

from __future__ import annotations

from collections.abc import Callable

from weightscope.gguf import dense, encoders, eyes, gemmas, hybrids, mixtures, others, seq2seq, windows
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.keys import Keys

Choice = Architecture | Callable[[Keys], Architecture]

ARCHITECTURES: dict[str, Choice] = {
    "llama": lambda keys: mixtures.MIXTRAL if keys.whole("expert_count") else dense.LLAMA,
    "qwen2": dense.QWEN2,
    "qwen3": dense.QWEN3,
    "qwen2vl": dense.QWEN2_VL,
    "qwen3vl": dense.QWEN3_VL,
    "apertus": dense.APERTUS,
    "gemma": dense.GEMMA,
    "gemma2": dense.GEMMA2,
    "gemma3": dense.GEMMA3,
    "gemma-embedding": dense.GEMMA_EMBEDDING,
    "gemma3n": gemmas.GEMMA3N,
    "gemma4": gemmas.GEMMA4,
    "phi3": dense.PHI3,
    "glm4": dense.GLM4,
    "granite": dense.GRANITE,
    "olmo2": lambda keys: windows.OLMO3 if keys.whole("attention.sliding_window") else dense.OLMO2,
    "arcee": dense.ARCEE,
    "ernie4_5": dense.ERNIE,
    "chatglm": dense.GLM,
    "hunyuan-dense": dense.HUNYUAN,
    "seed_oss": dense.SEED_OSS,
    "smollm3": dense.SMOLLM3,
    "qwen2moe": mixtures.QWEN2_MOE,
    "qwen3moe": mixtures.QWEN3_MOE,
    "qwen3vlmoe": mixtures.QWEN3_VL_MOE,
    "olmoe": mixtures.OLMOE,
    "gpt-oss": mixtures.GPT_OSS,
    "deepseek2": lambda keys: mixtures.DEEPSEEK_V3 if mixtures.scores_by_sigmoid(keys) else mixtures.DEEPSEEK_V2,
    "glm4moe": mixtures.GLM4_MOE,
    "granitemoe": mixtures.GRANITE_MOE,
    "ernie4_5-moe": mixtures.ERNIE_MOE,
    "hunyuan-moe": mixtures.HUNYUAN_MOE,
    "dots1": mixtures.DOTS1,
    "minimax-m2": mixtures.MINIMAX_M2,
    "phimoe": mixtures.PHIMOE,
    "cohere2": windows.COHERE2,
    "exaone4": windows.EXAONE4,
    "exaone-moe": windows.EXAONE_MOE,
    "llama4": windows.LLAMA4,
    "mistral3": windows.MINISTRAL3,
    "lfm2": hybrids.LFM2,
    "lfm2moe": hybrids.LFM2_MOE,
    "mamba2": hybrids.MAMBA2,
    "granitehybrid": lambda keys: hybrids.BAMBA if hybrids.is_bamba(keys) else hybrids.GRANITE_HYBRID,
    "nemotron_h": hybrids.NEMOTRON_H,
    "nemotron_h_moe": hybrids.NEMOTRON_H,
    "falcon-h1": hybrids.FALCON_H1,
    "jamba": hybrids.JAMBA,
    "qwen3next": hybrids.QWEN3_NEXT,
    "qwen35": hybrids.QWEN35,
    "qwen35moe": hybrids.QWEN35_MOE,
    "falcon": lambda keys: others.FALCON_40B if others.norms_twice(keys) else others.FALCON,
    "bloom": others.BLOOM,
    "gpt2": others.GPT2,
    "nemotron": others.NEMOTRON,
    "mamba": others.MAMBA,
    "stablelm": others.STABLELM,
    "phi2": others.PHI,
    "command-r": others.COHERE,
    "olmo": others.OLMO,
    "gptneox": others.GPT_NEOX,
    "starcoder2": others.STARCODER2,
    "bert": encoders.bert_of,
    "nomic-bert": encoders.NOMIC,
    "modern-bert": encoders.MODERNBERT,
    "eurobert": encoders.EUROBERT,
    "clip": eyes.eye_of,
    "t5": seq2seq.t5_of,
    "t5encoder": seq2seq.encoder_of,
}


def architecture_of(keys: Keys) -> Architecture | None:
    """The architecture that a file names, None where it is not known."""
    found = ARCHITECTURES.get(keys.architecture)
    return found if found is None or isinstance(found, Architecture) else found(keys)
