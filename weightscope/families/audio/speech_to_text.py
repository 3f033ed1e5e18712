"""Speech2Text (arXiv 2010.05171): speech to text or its translation. Source: `Speech2TextConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.embedding import Embedding, Head
from weightscope.components.halves import Halves, Stack
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, numbered
from weightscope.families.common.sinusoids import sinusoids
from weightscope.families.registry import family
from weightscope.families.siblings.speech_to_text import encoder, scale
from weightscope.families.siblings.whisper import NORM, decoder_block
from weightscope.roles import Role

SPEECH_TO_TEXT: dict[str, Any] = {
    "vocab_size": 10000, "encoder_layers": 12, "encoder_ffn_dim": 2048, "encoder_attention_heads": 4,
    "decoder_layers": 6, "decoder_ffn_dim": 2048, "decoder_attention_heads": 4, "activation_function": "relu",
    "d_model": 256, "decoder_start_token_id": 2, "scale_embedding": True, "pad_token_id": Nullable(int, 1),
    "max_source_positions": 6000, "max_target_positions": 1024, "num_conv_layers": 2, "conv_kernel_sizes": [5, 5],
    "conv_channels": 1024, "input_feat_per_channel": 80, "input_channels": 1, "tie_word_embeddings": True,
    "architectures": Nullable(list),
}  # fmt: skip
NAMES = {
    "num_attention_heads": "encoder_attention_heads", "hidden_size": "d_model", "num_hidden_layers": "encoder_layers",
}  # fmt: skip


@family(
    "speech_to_text",
    roots=("model", ""),
    defaults=SPEECH_TO_TEXT,
    attribute_map=NAMES,
    needs=("d_model", "encoder_layers", "decoder_layers"),
)
def speech_to_text(config: Config, root: str) -> EncoderDecoder:
    """Positions are sines and cosines, counted from the padding token's number on."""
    if config.task not in ("", "ConditionalGeneration"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    width, rows, depth = config["d_model"], config["vocab_size"], depth_of(config, "decoder_layers")
    block = decoder_block(config, key_bias=True)
    tied = bool(config["tie_word_embeddings"])
    return EncoderDecoder(
        halves=Halves(
            name=root,
            table=Embedding(name="decoder.embed_tokens", rows=rows, width=width, scale=scale(config)),
            encoder=encoder(config),
            decoder=Stack(
                name="decoder",
                width=width,
                vocabulary=rows,
                table_copy="",
                positions=sinusoids(config, config["max_target_positions"]),
                blocks=numbered("layers", depth, lambda _: block),
                depth=depth,
                final_norm=NORM("layer_norm", Role.FINAL_NORM, width),
                label="decoder",
            ),
        ),
        head=None if config.is_base_model else Head(name="lm_head", vocabulary=rows, width=width, tied=tied),
        start=config["decoder_start_token_id"],
        padding=config["pad_token_id"],
    )
