"""Whose names a checkpoint's tensors have, where they are not those of transformers."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

# Names that only one library gives -> the library, and what makes a declared checkpoint of it. Each set must be there.
_WRITERS = (
    (
        ("visual.conv1.weight", "transformer.resblocks.0.attn.in_proj_weight"),
        "open_clip's or OpenAI's of CLIP",
        "transformers publishes most of these as CLIPModel; its convert_clip_original_pytorch_to_hf.py renames them",
    ),
    (
        ("visual.trunk.patch_embed.proj.weight", "text.transformer.resblocks.0.attn.in_proj_weight"),
        "open_clip's, around a tower of timm's",
        "SigLIP and others are published for transformers as well",
    ),
    (
        ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
        "timm's of a vision transformer",
        "transformers' ViT, DeiT and DINOv2 hold the same with q, k and v apart",
    ),
    (("stem.0.weight", "stages.0.blocks.0.conv_dw.weight"), "timm's of a ConvNeXt", "transformers has ConvNextModel"),
    (
        ("encoder.blocks.0.attn.query.weight", "decoder.blocks.0.cross_attn.query.weight"),
        "OpenAI's of Whisper",
        "transformers publishes the same as WhisperForConditionalGeneration",
    ),
    (
        ("encoder.sentence_encoder.layers.0.self_attn.q_proj.weight", "encoder.sentence_encoder.embed_tokens.weight"),
        "fairseq's of an encoder",
        "transformers' convert_roberta_original_pytorch_checkpoint_to_pytorch.py renames them",
    ),
    (
        ("language_model.embedding.word_embeddings.weight", "language_model.encoder.final_layernorm.weight"),
        "Megatron-LM's",
        "Megatron's tools/checkpoint/convert.py makes transformers' form",
    ),
)


def writer_of(names: AbstractSet[str]) -> tuple[str, str] | None:
    """Whose names these are, in words, and what to do; None where nothing tells."""
    return next(((words, hint) for needed, words, hint in _WRITERS if names >= set(needed)), None)
