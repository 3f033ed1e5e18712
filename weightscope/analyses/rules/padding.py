"""Which model types build their embedding with `padding_idx`, and so with no pad_token_id beyond its rows."""

from __future__ import annotations

from weightscope.config import FLAT, Config

# Of transformers' classes; torch refuses a padding_idx beyond the rows with an AssertionError.
_NAMES = """
    afmoe albert apertus arcee aria_text axk1 bailing_hybrid bamba bart bert bitnet blenderbot blenderbot-small
    camembert cohere cohere2 cohere2_moe cwm dbrx deberta deberta-v2 deepseek_v2 deepseek_v3 deepseek_v32
    deepseek_v4 distilbert dots1 electra ernie4_5 ernie4_5_moe eurobert exaone4 exaone_moe falcon_h1 flex_olmo flint
    gemma gemma2 gemma3_text gemma3n_text gemma4_text gemma4_unified_text git glm glm4 glm4_moe glm4_moe_lite
    glm4v_moe_text glm4v_text glm_moe_dsa glm_ocr_text gpt_oss granite granite_swa granitemoe granitemoe_swa
    granitemoehybrid granitemoeshared gte helium hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl_text hy_v3 hyperclovax
    idefics internlm3 jais2 jamba jina_embeddings_v3 kimi_linear laguna layoutlm lfm2 lfm2_moe lfm3 llama
    llama4_text longcat_flash longformer m2m_100 marian mbart mellum mimo_v2_flash minicpm3 minimax minimax_m2
    minimax_m3_vl_text ministral ministral3 mistral mistral4 mixtral modernbert nanochat nemotron nllb-moe
    nomic_bert olmo olmo2 olmo3 olmo_hybrid olmoe opt pegasus persimmon phi phi3 phi4_multimodal phimoe qwen2
    qwen2_5_vl_text qwen2_moe qwen2_vl_text qwen3 qwen3_5_moe_text qwen3_5_text qwen3_moe qwen3_next
    qwen3_vl_moe_text qwen3_vl_text recurrent_gemma roberta seed_oss smollm3 solar_open speech_to_text stablelm
    starcoder2 vaultgemma whisper xlm-roberta youtu zamba zamba2
    """
PADDED = frozenset(_NAMES.split())


def pads(config: Config) -> bool:
    """Whether the language model of a config is built with its pad_token_id as `padding_idx`."""
    text = config.data.get("text_config")
    model_type = text.get("model_type") if isinstance(text, dict) else config.model_type
    return FLAT.get(str(model_type), model_type) in PADDED
