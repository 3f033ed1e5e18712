"""Tiny speech encoders on bare samples: wav2vec 2.0, HuBERT, WavLM, each structure and head."""

from __future__ import annotations

from typing import Any

from tests.families.tiny import Tiny

SPEECH: dict[str, Any] = {
    "vocab_size": 17, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 38,
    "conv_dim": [10, 11, 11, 13], "conv_stride": [3, 2, 2, 1], "conv_kernel": [5, 3, 3, 2],
    "num_conv_pos_embeddings": 6, "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 9,
}  # fmt: skip
STABLE = SPEECH | {
    "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True, "num_conv_pos_embeddings": 5,
}  # fmt: skip
QUANTIZER = {
    "num_codevectors_per_group": 8, "num_codevector_groups": 2, "codevector_dim": 14, "proj_codevector_dim": 15,
}  # fmt: skip
CLASSES = {"num_labels": 5}
SPEAKERS = CLASSES | {
    "tdnn_dim": [7, 8, 11], "tdnn_kernel": [2, 3, 1], "tdnn_dilation": [1, 2, 1], "xvector_output_dim": 6,
}  # fmt: skip
ADAPTED = {"add_adapter": True, "num_adapter_layers": 2}
BUCKETS = {"num_buckets": 12, "max_bucket_distance": 16}
TINY_WAVES = [
    Tiny("wav2vec2", "Wav2Vec2", SPEECH, "Model"),
    Tiny("wav2vec2-stable-unmasked", "Wav2Vec2", STABLE | {
        "mask_time_prob": 0.0, "feat_extract_activation": "relu", "hidden_act": "gelu_new", "layer_norm_eps": 1e-2,
    }, "Model"),
    Tiny("wav2vec2-adapter", "Wav2Vec2", SPEECH | ADAPTED, "Model"),
    Tiny("wav2vec2-characters", "Wav2Vec2", SPEECH, "ForCTC"),
    Tiny("wav2vec2-characters-languages", "Wav2Vec2", STABLE | {"adapter_attn_dim": 7}, "ForCTC"),
    Tiny("wav2vec2-characters-adapter", "Wav2Vec2", STABLE | ADAPTED | {
        "output_hidden_size": 20, "adapter_kernel_size": 4, "adapter_stride": 1,
    }, "ForCTC"),
    Tiny("wav2vec2-classes", "Wav2Vec2", SPEECH | CLASSES, "ForSequenceClassification"),
    Tiny("wav2vec2-classes-weighted", "Wav2Vec2", STABLE | CLASSES | {
        "use_weighted_layer_sum": True,
    }, "ForSequenceClassification"),
    Tiny("wav2vec2-frames", "Wav2Vec2", SPEECH | CLASSES, "ForAudioFrameClassification"),
    Tiny("wav2vec2-pretraining", "Wav2Vec2", SPEECH | QUANTIZER, "ForPreTraining"),
    Tiny("wav2vec2-speakers", "Wav2Vec2", STABLE | SPEAKERS, "ForXVector"),
    Tiny("hubert", "Hubert", SPEECH, "Model"),
    Tiny("hubert-stable-batch-norm", "Hubert", STABLE | {
        "conv_pos_batch_norm": True, "feat_proj_layer_norm": False,
    }, "Model"),
    Tiny("hubert-characters", "Hubert", STABLE, "ForCTC"),
    Tiny("hubert-classes-weighted", "Hubert", SPEECH | CLASSES | {
        "use_weighted_layer_sum": True,
    }, "ForSequenceClassification"),
    Tiny("wavlm", "WavLM", SPEECH | BUCKETS, "Model"),
    Tiny("wavlm-stable-adapter", "WavLM", STABLE | BUCKETS | ADAPTED, "Model"),
    Tiny("wavlm-characters", "WavLM", STABLE | BUCKETS, "ForCTC"),
    Tiny("wavlm-classes-weighted", "WavLM", SPEECH | CLASSES | BUCKETS | {
        "use_weighted_layer_sum": True,
    }, "ForSequenceClassification"),
    Tiny("wavlm-speakers-weighted", "WavLM", SPEECH | BUCKETS | SPEAKERS | {
        "use_weighted_layer_sum": True,
    }, "ForXVector"),
    Tiny("wavlm-frames-weighted", "WavLM", SPEECH | CLASSES | BUCKETS | {
        "use_weighted_layer_sum": True,
    }, "ForAudioFrameClassification"),
]  # fmt: skip
