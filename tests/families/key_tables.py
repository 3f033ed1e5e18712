"""What the key-by-key test allows: refusals and deliberate differences, with their reasons."""

from __future__ import annotations

from tests.families.key_oracle import Outcome
from tests.families.keys import Change

ZERO = "no model has so few; transformers builds tensors without elements, or fails when it runs"
UNEVEN = "a width that the heads do not share evenly cannot be rotated: transformers builds it and fails when it runs"
HALF = "transformers fails, unless a single angle is left, which it then uses for all pairs"
ODD = "of an odd number that turns, transformers' YaRN has too short a ramp"
PARTS = "transformers builds queries of another size than their parts, and fails when it runs"
# (model type or *, key): why we refuse it by name, whatever its value is; after = the one value.
REFUSED: dict[tuple[str, str], str] = {
    ("*", "hidden_act=mish"): "no published model has it",
    ("*", "activation_function=mish"): "no published model has it",
    ("*", "activation=mish"): "no published model has it",
    ("*", "hidden_activation=mish"): "no published model has it",
    ("*", "ff_activation=mish"): "no published model has it",
    ("xlnet", "same_length"): "no published model has it",
    ("bart", "is_causal"): "no published model has it; only some of transformers' masks obey it",
    ("mbart", "is_causal"): "as bart",
    ("marian", "is_causal"): "as bart",
    ("pegasus", "is_causal"): "as bart",
    ("blenderbot", "is_causal"): "as bart",
    ("*", "num_attention_heads=0"): ZERO,
    ("*", "num_experts_per_tok=0"): ZERO,
    ("*", "moe_k=0"): ZERO,
    ("*", "topk_group=0"): ZERO,
    ("*", "n_group=0"): ZERO,
    ("*", "q_lora_rank=0"): ZERO,
    ("*", "index_topk=0"): ZERO,
    ("*", "moe_top_k=0"): ZERO,
    ("*", "top_k_experts=0"): ZERO,
    ("*", "num_kv_heads=0"): ZERO,
    ("dbrx", "ffn_config"): "no published model leaves it out",
    ("dbrx", "n_heads"): "of heads that do not divide d_model transformers runs a few by accident, with one head more",
    ("dbrx", "num_attention_heads"): "as n_heads",
    ("dbrx", "rope_scaling"): "Databricks' code has none",
    ("gpt2", "add_cross_attention"): "the decoder of an encoder-decoder, which needs an encoder to run",
    ("gpt_bigcode", "add_cross_attention"): "the decoder of an encoder-decoder, which needs an encoder to run",
    (
        "deepseek_v2",
        "norm_topk_prob",
    ): "DeepSeek's code normalizes with it, transformers does not",
    ("deepseek_v2", "rope_parameters.partial_rotary_factor"): HALF,
    ("glm4_moe_lite", "partial_rotary_factor"): HALF,
    ("glm4_moe_lite", "rope_parameters.partial_rotary_factor"): HALF,
    ("cohere2_moe", "rope_scaling"): "the class has the key and does not read it, so nothing tells what is meant",
    ("mimo_v2_flash", "rope_scaling"): "Xiaomi's code reads it, transformers' class does not",
    ("mimo_v2_flash", "n_shared_experts"): "Xiaomi's code has more tensors with it; transformers ignores it",
    ("mimo_v2_flash", "scoring_func"): "Xiaomi's code computes otherwise with it; transformers ignores it",
    ("deepseek_v4", "is_causal"): "no published model has it; what is compressed is then of later tokens as well",
    ("deepseek_v4", "head_dim"): ODD,
    ("deepseek_v4", "partial_rotary_factor"): ODD,
    ("deepseek_v4", "rope_parameters"): ODD,
    ("deepseek_v4", "qk_rope_head_dim"): ODD,
    ("longcat_flash", "qk_head_dim"): PARTS,
    ("longcat_flash", "qk_nope_head_dim"): PARTS,
    ("longcat_flash", "qk_rope_head_dim"): PARTS,
    ("longcat_flash", "head_dim"): "the class takes it for the size that turns: of another it has too few angles",
    ("vit_mae", "mask_ratio"): "beyond 1 no share; transformers then keeps no patch, as for 1",
    ("phi4_multimodal", "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there",
    ("sam", "vision_config"): "prompts for another number of patches than the image has cannot be used with it",
    ("sam", "prompt_encoder_config"): "as vision_config",
    ("afmoe", "n_group"): "Arcee's code routes by groups with it; transformers ignores it",
    ("longcat_flash", "rope_parameters.partial_rotary_factor"): HALF,
    ("youtu", "rope_parameters.partial_rotary_factor"): HALF,
    ("mistral4", "rope_parameters.partial_rotary_factor"): HALF,
    ("mistral4", "head_dim"): HALF,
    ("axk1", "rope_parameters.partial_rotary_factor"): HALF,
    ("bailing_hybrid", "rope_parameters.partial_rotary_factor"): HALF,
    ("solar_open", "partial_rotary_factor"): HALF,
    ("solar_open", "rope_parameters.partial_rotary_factor"): HALF,
    ("deepseek_v32", "is_causal"): "as glm_moe_dsa",
    ("aya_vision", "vision_feature_select_strategy"): "the first patch left out, the rest are no square",
    ("aya_vision", "vision_feature_layer"): "several layers side by side do not fit the projector's matrix",
    ("aya_vision", "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there",
    ("*", "downsample_factor=0"): ZERO,
    ("*", "hidden_stride=0"): ZERO,
    ("deepseek_vl_hybrid", "high_res_vision_config"): "null as absent: without its parts a config describes no model",
    ("deepseek_vl_hybrid", "high_res_vision_config.num_hidden_layers"): "no image can be read from a layer not there",
    ("deepseek_vl_hybrid", "high_res_vision_config.global_attn_indexes"): "as num_hidden_layers",
    ("ovis2", "vision_config.hidden_stride"): "AIDC's own code pads the last squares otherwise than transformers",
    ("ovis2", "vision_config.image_size"): "as hidden_stride",
    ("ovis2", "vision_config.patch_size"): "as hidden_stride",
    ("ovis2", "text_config.hidden_size"): "the head of another width than the layers cannot run",
    ("ovis2", "hidden_size"): "as text_config.hidden_size",
    ("ovis2", "vocab_size"): "a head of another length than the embedding; no published model has it",
    ("ovis2", "text_config.vocab_size"): "as vocab_size",
    ("smolvlm", "is_causal"): "no published model has it; only some of transformers' attention obeys it",
    ("glm_moe_dsa", "is_causal"): "no published model has it; what the indexer then chooses is not implemented",
    ("bloom", "apply_residual_connection_post_layernorm"): "no published model has it",
    ("nemotron_h", "mlp_hidden_act=mish"): "no published model has it",
    ("nemotron_h", "mamba_hidden_act=mish"): "no published model has it",
    ("nemotron_h", "attention_bias"): "NVIDIA's code has more tensors with it; transformers ignores it",
    ("nemotron_h", "moe_latent_size=0"): "no model has a width of 0",
    ("kimi_linear", "moe_layer_freq"): "Moonshot's code has other layers with it; transformers ignores it",
    ("llava", "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there",
    ("mistral3", "vision_feature_layer"): "transformers builds no projector's norm for several layers, and fails",
    ("internvl", "vision_feature_layer"): "transformers takes no list of layers when it runs",
    ("internvl", "vision_feature_select_strategy"): "with the class vector the patches make no square",
    ("internvl", "downsample_ratio"): "one that does not divide the patches: transformers fails when it runs",
    ("internvl", "vision_config.image_size"): "three sides are no size; transformers takes the first two",
    ("internvl", "vision_config.patch_size"): "as image_size; what does not divide the patches fails when it runs",
    ("internvl", "vision_config.use_mask_token"): "no published model has it",
    ("internvl", "vision_config.use_absolute_position_embeddings"): "no published model leaves them out",
    ("internvl_vision", "use_mask_token"): "no published model has it",
    ("internvl_vision", "use_absolute_position_embeddings"): "no published model leaves them out",
    ("internvl_vision", "image_size"): "as internvl's",
    ("internvl_vision", "patch_size"): "as internvl's",
    ("mistral3", "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there",
    ("kimi_k25", "vision_config.merge_kernel_size"): "three sides are no square",
    ("kimi_k25", "vision_config.pos_emb_height"): "transformers takes the height for both sides",
    ("kimi_k25", "vision_config.pos_emb_width"): "transformers takes the height for both sides",
    ("kimi_k25", "projection_hidden_size"): "a norm that does not fit the tower: transformers fails when it runs",
    ("pixtral", "num_attention_heads"): UNEVEN,
    ("pixtral", "hidden_size"): UNEVEN,
    ("llama4", "vision_config.pixel_shuffle_ratio"): "patches merge in squares: 1 by 1, 2 by 2, and so on",
    ("llama4", "is_causal"): "no published model has it",
    ("mllama", "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there",
    ("mllama", "vision_config.intermediate_layers_indices"): "as its num_hidden_layers",
    ("mllama", "vision_config.max_num_tiles"): "as transformers: the usual arrangements are of four tiles",
    ("florence2", "text_config.tie_word_embeddings"): "no published model has it; a third table reads the text then",
    ("git", "max_position_embeddings"): "of one position transformers makes that of all tokens",
    ("florence2", "vision_config.num_groups"): "as vision_config.num_heads",
    ("*", "vision_config.num_heads"): UNEVEN,
    ("*", "vision_config.num_attention_heads"): UNEVEN,
    ("*", "vision_config.embed_dim"): UNEVEN,
    ("*", "vision_config.hidden_size"): UNEVEN,
    ("gemma4", "vision_config.head_dim"): UNEVEN,
    ("gemma4", "audio_config.subsampling_conv_channels"): "the class has two convolutions, whatever it lists",
    ("gemma3", "text_config.use_bidirectional_attention"): "no published model that sees has it",
    ("gemma3", "vision_config.image_size"): "more tokens than an image has patches: transformers builds it and fails",
    ("gemma3", "vision_config.patch_size"): "as vision_config.image_size",
    ("gemma3", "mm_tokens_per_image"): "as vision_config.image_size",
    ("*", "text_config"): "null as absent: without its parts a config describes no model",
    ("*", "vision_config"): "null as absent: without its parts a config describes no model",
    ("phimoe", "num_experts_per_tok"): "Microsoft's code takes no other number than 2, which transformers takes it for",
    ("qwen2_moe", "layer_types"): "where use_sliding_window is false, transformers' windows have 0 positions",
    ("qwen2_moe", "use_sliding_window"): "where layer_types has windows, those of transformers have 0 positions",
    ("minicpm3", "hidden_size=0"): ZERO,
    ("mpt", "d_model=0"): ZERO,
    ("mpt", "hidden_size=0"): ZERO,
    ("zamba2", "use_long_context"): "Zyphra's code turns by another theta with it; transformers ignores it",
    ("minimax_m3_vl_text", "rotary_dim"): "MiniMax's code turns so many elements; transformers ignores it",
    ("minimax_m3_vl_text", "head_dim"): "as rotary_dim, which is then another number",
    ("minimax_m3_vl_text", "rope_parameters"): "as rotary_dim, where it does not say how much turns",
    ("minimax_m3_vl_text", "index_block_size"): "what is chosen of a sequence that is not seen whole is not computed",
    ("minimax_m3_vl_text", "index_topk_blocks"): "as index_block_size",
    ("minimax_m3_vl_text", "is_causal"): "no published model has it; what the indexer then chooses is not implemented",
    ("mpt", "expansion_ratio"): "MosaicML's code has tensors of other shapes with it; transformers ignores it",
    ("mpt", "no_bias"): "MosaicML's code has more tensors with it; transformers ignores it",
    ("mpt", "attn_config.attn_type"): "MosaicML's code has tensors of other shapes with it; transformers ignores it",
    ("mpt", "attn_config.qk_ln"): "MosaicML's code has more tensors with it; transformers ignores it",
    ("mpt", "attn_config.alibi"): "MosaicML's code has learned positions without it; transformers ignores it",
    ("mpt", "attn_config.prefix_lm"): "MosaicML's code computes otherwise with it; transformers ignores it",
    ("mpt", "logit_scale"): "MosaicML's code computes otherwise with it; transformers ignores it",
    ("mpt", "norm_type"): "MosaicML's code computes otherwise with it; transformers ignores it",
}
LLAMA4_BRIDGE = (
    "hidden_size", "intermediate_size", "pixel_shuffle_ratio", "projector_input_dim", "projector_output_dim",
    "vision_output_dim",
)  # fmt: skip
FLORENCE_BRIDGE = ("text_config", "text_config.d_model", "vision_config", "vision_config.projection_dim")
MLLAMA_BRIDGE = ("hidden_size", "vision_output_dim", "intermediate_layers_indices")
GLM = ("glm4v", "glm4v_moe", "glm46v", "glm_ocr", "paddleocr_vl")
# Keys without which a config.json describes no model, whatever defaults its class has.
QWEN_EYES = (
    "exaone4_5", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen2_5_omni_thinker",
    "qwen3_omni_moe_thinker",
)  # fmt: skip
NEEDED = "lacks '"
# (model type, key): where we follow the published code of the model rather than transformers'.
DELIBERATE: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        (("llama4", f"vision_config.{key}") for key in LLAMA4_BRIDGE),
        "transformers builds a bridge that does not fit its tower and fails when an image comes",
    ),
    **dict.fromkeys(
        (("mllama", f"vision_config.{key}") for key in MLLAMA_BRIDGE),
        "transformers builds a bridge that does not fit its tower and fails when an image comes",
    ),
    **dict.fromkeys(
        ((kind, key) for kind in GLM for key in ("text_config.hidden_size", "vision_config.out_hidden_size")),
        "transformers builds a bridge that does not fit its language model and fails when an image comes",
    ),
    **dict.fromkeys(
        (("florence2", key) for key in FLORENCE_BRIDGE),
        "transformers builds a bridge that does not fit its language model and fails when an image comes",
    ),
    ("mllama", "text_config.num_attention_heads"): "heads of one element, of which transformers turns a half",
    ("mllama", "image_token_index"): "as llava",
    ("mllama", "image_token_id"): "as llava",
    ("llama4", "vision_config"): "as its keys: the class's defaults do not fit each other",
    ("llama4", "image_token_index"): "as llava",
    ("llama4", "image_token_id"): "as llava",
    **dict.fromkeys(
        ((kind, key) for kind in QWEN_EYES for key in ("text_config.hidden_size", "vision_config.out_hidden_size")),
        "transformers builds a merger that does not fit its language model and fails when an image comes",
    ),
    ("qwen2_vl", "vision_config.hidden_size"): "as vision_config.out_hidden_size of the later types",
    ("mpt", "attn_config.alibi_bias_max"): "llm-foundry obeys it; transformers does not pass it on",
    (
        "zamba2",
        "layer_types",
    ): "transformers counts the layers of its default list, before it reads this name of layers_block_type",
    ("mpt", "max_seq_len"): "of a single position transformers repeats its biases; longer ones do not run",
    ("idefics2", "perceiver_config.num_key_value_heads"): "uneven groups only fail with an image, and none comes here",
    ("idefics2", "perceiver_config.resampler_n_heads"): "as num_key_value_heads",
    ("idefics2", "text_config.num_hidden_layers"): "without a layer nothing tells how wide the projector is",
    ("longcat_flash", "zero_expert_num"): "transformers has matrices for them that nobody uses or publishes",
    (
        "gemma4",
        "text_config.per_layer_config",
    ): "null is not what transformers saves, and it reads what it saves otherwise",
    ("gemma4_unified", "text_config.per_layer_config"): "as gemma4's",
    ("gemma4", "is_causal"): "no published model has it; transformers hands it to the attention, past the masks",
    ("gemma4", "vision_config.num_attention_heads"): "transformers builds heads that share no keys, and fails",
    ("gemma4", "vision_config.num_key_value_heads"): "as vision_config.num_attention_heads",
    ("siglip", "vision_config.hidden_size"): "transformers builds vectors of text and image that nothing can compare",
    ("siglip", "text_config.hidden_size"): "as vision_config.hidden_size",
    ("siglip", "text_config.projection_size"): "as vision_config.hidden_size",
    ("siglip2", "vision_config.hidden_size"): "as siglip",
    ("siglip2", "text_config.hidden_size"): "as siglip",
    ("siglip2", "text_config.projection_size"): "as siglip",
    ("gemma3", "image_token_index"): "the tokens that are tried hold it, and no image comes with them",
    ("gemma3", "image_token_id"): "as image_token_index",
    ("paligemma", "image_token_index"): "the tokens that are tried hold it, and no image comes with them",
    ("paligemma", "image_token_id"): "as image_token_index",
    ("paligemma", "projection_dim"): "transformers builds a projector that the language model does not fit",
    ("paligemma", "text_config.hidden_size"): "as projection_dim",
    ("paligemma", "text_config"): "as projection_dim: of a published config",
    **{
        (model_type, key): "the tokens that are tried hold it, and no image comes with them"
        for model_type in ("mistral3", "internvl", "kimi_k25")
        for key in ("image_token_index", "image_token_id", "video_token_id", "media_placeholder_token_id")
    },
    ("kimi_k25", "text_config.q_lora_rank"): "without it 5.23 writes queries as wqkv, which it cannot read again",
    ("kimi_k25", "text_config.head_dim"): "transformers turns so many elements; Moonshot's code has no such key",
    ("kimi_k25", "vision_config"): "Moonshot's own names of the tower's keys, which transformers ignores",
    ("internvl", "vision_config.patch_size"): "patches that make no squares: transformers fails when it sees an image",
    ("mistral3", "is_causal"): "no published model has it; transformers hands it to the language model's attention",
    ("phimoe", "rope_parameters"): "Microsoft's code takes the long factors beyond the first context",
    ("phimoe", "original_max_position_embeddings"): "Microsoft's code takes the long factors beyond the first context",
    ("dbrx", "attn_config.rope_theta"): "Databricks' code reads it; transformers reads rope_parameters alone",
    ("dbrx", "rope_theta"): "as attn_config.rope_theta",
    ("dbrx", "rope_parameters"): "as attn_config.rope_theta; with a scaling we refuse the forward pass",
    ("dbrx", "hidden_size"): "in the place of d_model transformers gives it to all but the experts, which cannot run",
    (
        "gemma3_text",
        "rope_scaling",
    ): "spelled with `type` transformers leaves it out, spelled with `rope_type` it does not",
    ("deepseek_v3", "moe_layer_freq"): "DeepSeek's code obeys it; transformers' class does not have it",
    ("deepseek_v2", "moe_layer_freq"): "DeepSeek's code obeys it; transformers' class does not have it",
    ("deepseek_v32", "moe_layer_freq"): "DeepSeek's code obeys it; transformers' class does not have it",
}

XIAOMI = "Xiaomi's code and published configs have it; transformers' class does not"
DELIBERATE |= {
    ("mimo_v2_flash", key): XIAOMI
    for key in (
        "add_full_attention_sink_bias", "add_swa_attention_sink_bias", "layernorm_epsilon", "moe_layer_freq",
        "partial_rotary_factor", "rope_theta", "swa_rope_theta",
    )
}  # fmt: skip
# transformers builds these, and fails when an image comes; none comes here.
DELIBERATE |= {
    ("exaone4_5", "vision_config.num_heads"): "heads that share no keys",
    ("exaone4_5", "vision_config.num_key_value_heads"): "as num_heads",
    ("exaone4_5", "vision_config.patch_size"): "windows that hold no square of patches",
    ("exaone4_5", "vision_config.spatial_merge_size"): "as patch_size",
    ("exaone4_5", "vision_config.window_size"): "as patch_size",
    ("exaone4_5", "text_config.num_attention_heads"): "more heads than a tiny model is wide, each without an element",
    ("lighton_ocr", "is_causal"): "no published model has it; transformers hands it to the language model's attention",
}
LLAVAS = ("llava", "llava_next", "llava_onevision", "video_llava", "vipllava")
REFUSED |= {
    (llava, "vision_config.num_hidden_layers"): "no image can be read from a layer that is not there"
    for llava in LLAVAS
}  # fmt: skip
REFUSED |= {
    ("llava_next", "image_grid_pinpoints"): "without any resolution no image can be cut",
    ("llava_onevision", "image_grid_pinpoints"): "without any resolution no image can be cut",
    ("vipllava", "vision_feature_layer"): "as vision_config.num_hidden_layers",
}
DELIBERATE |= {
    (llava, "is_causal"): "transformers hands it on to the language model, which then sees all; no model has it"
    for llava in ("llava_next", "llava_onevision", "video_llava")
}
DELIBERATE |= {
    ("blip-2", "text_config.hidden_size"): "of an OPT with narrower embeddings transformers fails on every image",
}
PLACES = ("image_token_index", "image_token_id", "video_token_index", "video_token_id")
DELIBERATE |= {
    (llava, key): "the tokens that are tried hold it, and no image or video comes with them"
    for llava in LLAVAS
    for key in PLACES
}
# BERT's kin. Those whose positions count from the padding token's number have more than one.
CROSSED = ("bert", "camembert", "electra", "esm", "roberta", "xlm-roberta")
REFUSED |= {
    (name, "add_cross_attention"): "the decoder of an encoder-decoder, which needs an encoder to run"
    for name in CROSSED
}  # fmt: skip
DELIBERATE |= {
    (name, "max_position_embeddings"): "of a single position transformers gives that to all tokens"
    for name in ("albert", "bert", "distilbert", "electra", "layoutlm")
}
DELIBERATE |= {
    (name, key): "of a width that the heads do not share evenly transformers builds a model and fails when it runs"
    for name in ("albert", "electra")
    for key in ("hidden_size", "num_attention_heads")
}
DELIBERATE |= {
    ("deberta", "legacy"): "of the newer head transformers takes the layer before it for the head",
    ("deberta-v2", "legacy"): "as deberta",
    ("jina_embeddings_v3", "num_attention_heads"): "of heads with a single element transformers repeats the one angle",
    ("longformer", "is_causal"): "transformers takes one row of a causal mask for all tokens",
}
NOMIC = "Nomic's code and published configs have it; transformers' class does not"
DELIBERATE |= {
    ("nomic_bert", key): NOMIC
    for key in (
        "n_embd", "n_layer", "n_head", "n_inner", "n_positions", "layer_norm_epsilon", "rotary_emb_base", "hidden_size",
    )
}  # fmt: skip
REFUSED[("mpnet", "relative_attention_num_buckets")] = "transformers stores so many and computes as if they were 32"
DELIBERATE |= {
    ("mpnet", key): "of a width that the heads do not share evenly transformers builds a model and fails when it runs"
    for key in ("hidden_size", "num_attention_heads")
}
DELIBERATE[("longformer", "hidden_size")] = "as 0 it is no size"
REFUSED |= {
    ("esm", "position_embedding_type"): "no published model has another than the two",
    ("esm", "is_folding_model"): "ESMFold has parts of its own",
    ("nomic_bert", "activation_function"): NOMIC,
    ("nomic_bert", "num_experts"): NOMIC,
    ("nomic_bert", "prenorm"): NOMIC,
    ("modernbert", "rope_scaling"): "no published model has it",
    ("modernbert", "classifier_activation=mish"): "no published model has it",
}
DELIBERATE |= {(name, "embedding_size"): "as 0 it is no size" for name in ("albert", "electra")}
DELIBERATE |= {
    (kind, key): "as llava"
    for kind in ("got_ocr2", "minimax_m3_vl", "molmo2", "step3p7", "minicpmv4_6")
    for key in (*PLACES, "image_patch_id")
}
MOLMO_BRIDGE = (
    "adapter_config", "adapter_config.hidden_size", "adapter_config.text_hidden_size", "text_config.hidden_size",
    "vision_config.hidden_size",
)  # fmt: skip
MOLMO_HEADS = tuple(
    f"{part}.{key}"
    for part in ("adapter_config", "vision_config")
    for key in ("num_attention_heads", "num_key_value_heads")
)
DELIBERATE |= {
    ("molmo2", key): "transformers builds a bridge that does not fit and fails when an image comes"
    for key in MOLMO_BRIDGE
}
DELIBERATE |= {("molmo2", key): "uneven groups only fail with an image, and none comes here" for key in MOLMO_HEADS}
REFUSED["molmo2", "vision_config.image_size"] = "one side or three are no size; transformers takes the first two"
REFUSED["minicpmv4_6", "merge_kernel_size"] = "the class has matrices for 2 × 2 patches, whatever it says"
REFUSED["minicpmv4_6", "vision_config.window_kernel_size"] = "as merge_kernel_size"
REFUSED["step3p7", "text_config.layer_types"] = "no published model has others; transformers fails when it runs"
REFUSED["step3p7", "text_config.num_nextn_predict_layers"] = "of no kind: transformers does not say which they are"
DELIBERATE["step3p7", "text_config.per_layer_config"] = "as gemma4's"
REFUSED["minicpmv4_6", "merger_times"] = "without a merger nothing is as wide as the language model"
REFUSED["minicpmv4_6", "vision_config.num_hidden_layers"] = "as insert_layer_id"
REFUSED["minicpmv4_6", "insert_layer_id"] = "of a layer that is not there, transformers fails when an image comes"
REFUSED |= {
    ("minimax_m3_vl", f"text_config.{key}"): reason
    for (kind, key), reason in list(REFUSED.items())
    if kind == "minimax_m3_vl_text"
}
DELIBERATE |= {("qwen2_audio", key): "as llava, of audio" for key in ("audio_token_index", "audio_token_id")}
DELIBERATE["speech_to_text", "is_causal"] = "no published model has it; only the decoder is asked for it"
DELIBERATE["whisper", "is_causal"] = "no published model has it; transformers hands it to the attention, past the masks"


def expected(model_type: str, change: Change, outcome: Outcome) -> bool:
    """Whether a row allows an outcome."""
    if (model_type, change.key) in DELIBERATE:
        return True
    if outcome.verdict != "refused" or change.kind == "published":
        return False
    if outcome.value == "absent" and NEEDED in outcome.detail:
        return True
    within = [key for key in outcome.value if key in outcome.detail] if isinstance(outcome.value, dict) else []
    if not (change.path[-1] in outcome.detail or f"'{outcome.value}'" in outcome.detail or within):
        return False
    keys = (change.key, f"{change.path[-1]}={outcome.value}", *(f"{change.key}.{key}" for key in within))
    return any((owner, key) in REFUSED for owner in (model_type, "*") for key in keys)
