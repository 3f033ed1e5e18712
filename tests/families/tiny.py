"""Tiny random models that transformers builds: one table, sizes chosen so that no two dimensions coincide."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import transformers

LLAMA: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 24,
    "intermediate_size": 52,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# Where a quarter of a head is rotated, the heads are wide enough for two pairs: of a single one no theta shows.
WIDE: dict[str, Any] = LLAMA | {"hidden_size": 96}
GPT2 = {"vocab_size": 101, "n_positions": 37, "n_embd": 24, "n_layer": 3, "n_head": 3}
ENDS: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
BLOOM = {"vocab_size": 101, "hidden_size": 24, "n_layer": 3, "n_head": 6} | ENDS
DEEPSEEK: dict[str, Any] = LLAMA | {
    "num_key_value_heads": 6,
    "moe_intermediate_size": 14,
    "n_routed_experts": 9,
    "n_shared_experts": 2,
    "num_experts_per_tok": 2,
    "n_group": 3,
    "topk_group": 2,
    "first_k_dense_replace": 1,
    "q_lora_rank": 11,
    "kv_lora_rank": 13,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 5,
}
VISION: dict[str, Any] = {
    "model_type": "clip_vision_model",
    "hidden_size": 20,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 7,
}
YARN: dict[str, Any] = {"rope_type": "yarn", "rope_theta": 5e5, "factor": 4.0, "original_max_position_embeddings": 64}


@dataclass(frozen=True)
class Tiny:
    """One model: the config class's prefix and the keys that differ from its defaults."""

    name: str
    kind: str
    keys: dict[str, Any]
    model: str = "ForCausalLM"
    # What logits may differ by, of their largest.
    tolerance: float = 1e-4

    def of(self, config: Any) -> transformers.PreTrainedModel:
        """The model of a config: a type may have a config of its own and another's model."""
        model_class = getattr(transformers, f"{self.kind}{self.model}", None)
        if model_class:
            return model_class(config)
        sees = self.model == "ForConditionalGeneration"
        auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        return auto.from_config(config)

    def build(self) -> transformers.PreTrainedModel:
        """A model in float32 whose every weight, norms and biases included, is random."""
        # Config classes write into the dicts that they are given.
        config = getattr(transformers, f"{self.kind}Config")(**copy.deepcopy(self.keys))
        torch.manual_seed(0)
        model = self.of(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.uniform_(-0.5, 0.5)
            for name, buffer in model.named_buffers():
                if name.endswith("e_score_correction_bias"):
                    buffer.uniform_(-0.5, 0.5)
                if name.endswith("tid2eid"):
                    # Two different experts for each token.
                    buffer.copy_(torch.argsort(torch.rand(len(buffer), config.n_routed_experts))[:, : buffer.shape[1]])
        return model


TINY = [
    Tiny("llama", "Llama", LLAMA),
    Tiny("llama-tied", "Llama", LLAMA | {"tie_word_embeddings": True}),
    Tiny("llama-biases", "Llama", LLAMA | {"attention_bias": True, "mlp_bias": True}),
    Tiny("llama-mqa-head_dim", "Llama", LLAMA | {"num_key_value_heads": 1, "head_dim": 10}),
    Tiny("llama-mha-yarn", "Llama", LLAMA | {"num_key_value_heads": 6, "rope_parameters": YARN}),
    Tiny("llama-base", "Llama", LLAMA, "Model"),
    Tiny("mistral", "Mistral", LLAMA | {"sliding_window": 5}),
    Tiny("mistral-head_dim", "Mistral", LLAMA | {"head_dim": 10, "sliding_window": None}),
    Tiny("qwen2", "Qwen2", LLAMA),
    Tiny("qwen2-tied-window", "Qwen2", LLAMA | {
        "tie_word_embeddings": True, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2,
    }),
    Tiny("qwen3", "Qwen3", LLAMA | {"head_dim": 10}),
    Tiny("qwen3-tied-bias", "Qwen3", LLAMA | {"head_dim": 10, "tie_word_embeddings": True, "attention_bias": True}),
    Tiny("gpt2", "GPT2", GPT2 | ENDS, "LMHeadModel"),
    Tiny("gpt2-inner-untied", "GPT2", GPT2 | ENDS | {"n_inner": 53, "tie_word_embeddings": False}, "LMHeadModel"),
    Tiny("gpt2-base", "GPT2", GPT2 | ENDS, "Model"),
    Tiny("gpt_neox", "GPTNeoX", WIDE),
    Tiny("gpt_neox-no-bias", "GPTNeoX", WIDE | {"attention_bias": False, "use_parallel_residual": False}),
    Tiny("gpt_neox-tied", "GPTNeoX", WIDE | {"tie_word_embeddings": True}),
    Tiny("bloom", "Bloom", BLOOM),
    Tiny("bloom-odd-heads-untied", "Bloom", BLOOM | {"n_head": 3, "tie_word_embeddings": False}),
    Tiny("bloom-base", "Bloom", BLOOM, "Model"),
    Tiny("mixtral", "Mixtral", LLAMA | {"num_local_experts": 5}),
    Tiny("mixtral-top3", "Mixtral", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 3, "sliding_window": 5}),
    Tiny("deepseek_v3", "DeepseekV3", DEEPSEEK),
    Tiny("deepseek_v3-plain-queries", "DeepseekV3", DEEPSEEK | {"q_lora_rank": None, "attention_bias": True}),
    Tiny("deepseek_v3-bias", "DeepseekV3", DEEPSEEK | {"attention_bias": True, "first_k_dense_replace": 2}),
    Tiny("gemma", "Gemma", LLAMA | {"head_dim": 10}),
    Tiny("gemma-untied", "Gemma", LLAMA | {"head_dim": 10, "tie_word_embeddings": False, "attention_bias": True}),
    Tiny("gemma2", "Gemma2", LLAMA | {"head_dim": 10, "sliding_window": 5}),
    Tiny("phi3", "Phi3", LLAMA),
    Tiny("phi3-tied-window", "Phi3", LLAMA | {"tie_word_embeddings": True, "sliding_window": 5}),
    Tiny("llama-classifier", "Llama", LLAMA | {"num_labels": 5}, "ForSequenceClassification"),
    Tiny("llama-tagger", "Llama", LLAMA | {"num_labels": 5}, "ForTokenClassification"),
    Tiny("gpt2-classifier", "GPT2", GPT2 | ENDS, "ForSequenceClassification"),
    Tiny("gpt_neox-tagger", "GPTNeoX", LLAMA | {"num_labels": 7}, "ForTokenClassification"),
    Tiny("clip_vision_model", "CLIPVision", VISION, "Model"),
    Tiny("llava", "Llava", {
        "text_config": LLAMA | {"model_type": "llama"}, "vision_config": VISION, "image_token_index": 99,
    }, "ForConditionalGeneration"),
    Tiny("llava-tied-above", "Llava", {
        "text_config": LLAMA | {"model_type": "llama", "tie_word_embeddings": False}, "vision_config": VISION,
        "tie_word_embeddings": True, "image_token_index": 99,
    }, "ForConditionalGeneration"),
    Tiny("llava-qwen2-no-bias", "Llava", {
        "text_config": LLAMA | {"model_type": "qwen2", "tie_word_embeddings": True},
        "vision_config": VISION | {"image_size": 35},
        "multimodal_projector_bias": False,
        "tie_word_embeddings": True,
        "image_token_index": 99,
    }, "ForConditionalGeneration"),
]  # fmt: skip

from tests.families.tiny_2026 import TINY_2026  # noqa: E402
from tests.families.tiny_blips import TINY_BLIPS  # noqa: E402
from tests.families.tiny_captioners import TINY_CAPTIONERS  # noqa: E402
from tests.families.tiny_clap import HALVES, TINY_CLAP  # noqa: E402
from tests.families.tiny_cohere_eyes import TINY_COHERE_EYES  # noqa: E402
from tests.families.tiny_contrast import TINY_CONTRAST  # noqa: E402
from tests.families.tiny_deepseek_eyes import TINY_DEEPSEEK_EYES  # noqa: E402
from tests.families.tiny_dense import TINY_DENSE  # noqa: E402
from tests.families.tiny_encoders import TINY_ENCODERS  # noqa: E402
from tests.families.tiny_flagships import TINY_FLAGSHIPS  # noqa: E402
from tests.families.tiny_fuyu import TINY_FUYU  # noqa: E402
from tests.families.tiny_gemma_eyes import TINY_GEMMA_EYES  # noqa: E402
from tests.families.tiny_glm_vision import TINY_GLM_VISION  # noqa: E402
from tests.families.tiny_hybrids import TINY_HYBRIDS  # noqa: E402
from tests.families.tiny_idefics import TINY_IDEFICS  # noqa: E402
from tests.families.tiny_kin import TINY_KIN  # noqa: E402
from tests.families.tiny_llama_vision import TINY_LLAMA_VISION  # noqa: E402
from tests.families.tiny_llavas import TINY_LLAVAS  # noqa: E402
from tests.families.tiny_mistral import TINY_MISTRAL  # noqa: E402
from tests.families.tiny_mixed_eyes import TINY_MIXED_EYES  # noqa: E402
from tests.families.tiny_mixtures import TINY_MIXTURES  # noqa: E402
from tests.families.tiny_omni import TINY_OMNI  # noqa: E402
from tests.families.tiny_phi4 import TINY_PHI4  # noqa: E402
from tests.families.tiny_sam import TINY_SAM  # noqa: E402
from tests.families.tiny_seq2seq import TINY_SEQ2SEQ  # noqa: E402
from tests.families.tiny_speech import TINY_HEARING, TINY_SPEECH  # noqa: E402
from tests.families.tiny_towers import TINY_TOWERS  # noqa: E402
from tests.families.tiny_vision import TINY_VISION  # noqa: E402
from tests.families.tiny_waves import TINY_WAVES  # noqa: E402
from tests.families.tiny_xlnet import TINY_XLNET  # noqa: E402

TINY += TINY_2026
TINY += TINY_BLIPS
TINY += TINY_CAPTIONERS
TINY += TINY_CLAP
TINY += HALVES
TINY += TINY_COHERE_EYES
TINY += TINY_CONTRAST
TINY += TINY_DEEPSEEK_EYES
TINY += TINY_DENSE
TINY += TINY_ENCODERS
TINY += TINY_FLAGSHIPS
TINY += TINY_FUYU
TINY += TINY_GEMMA_EYES
TINY += TINY_GLM_VISION
TINY += TINY_HYBRIDS
TINY += TINY_IDEFICS
TINY += TINY_KIN
TINY += TINY_LLAMA_VISION
TINY += TINY_LLAVAS
TINY += TINY_MISTRAL
TINY += TINY_MIXED_EYES
TINY += TINY_MIXTURES
TINY += TINY_PHI4
TINY += TINY_SAM
TINY += TINY_OMNI
TINY += TINY_SEQ2SEQ
TINY += TINY_HEARING
TINY += TINY_SPEECH
TINY += TINY_WAVES
TINY += TINY_TOWERS
TINY += TINY_VISION
TINY += TINY_XLNET
