"""Whisper (arXiv 2212.04356): speech to text. Source: `WhisperConfig` of transformers."""

from __future__ import annotations

from typing import Any

from weightscope.components.audio.classes import AudioClassifier
from weightscope.components.audio.layer_sum import LayerSum
from weightscope.components.base import Component
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Embedding, Head
from weightscope.components.halves import Halves, Stack
from weightscope.components.seq2seq import EncoderDecoder
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, numbered
from weightscope.families.common.encoders import classes, transform
from weightscope.families.registry import family
from weightscope.families.siblings.whisper import NORM, decoder_block, positions, tower
from weightscope.roles import Role

WHISPER: dict[str, Any] = {
    "vocab_size": 51865, "num_mel_bins": 80, "encoder_layers": 4, "encoder_attention_heads": 6, "decoder_layers": 4,
    "decoder_attention_heads": 6, "decoder_ffn_dim": 1536, "decoder_start_token_id": 50257, "max_target_positions": 448,
    "activation_function": "gelu", "encoder_ffn_dim": 1536, "max_source_positions": 1500, "classifier_proj_size": 256,
    "d_model": 384, "use_weighted_layer_sum": False, "tie_word_embeddings": True, "architectures": Nullable(list),
}  # fmt: skip
NAMES = {
    "num_attention_heads": "encoder_attention_heads", "num_key_value_heads": "encoder_attention_heads",
    "hidden_size": "d_model", "num_hidden_layers": "encoder_layers",
}  # fmt: skip
NEEDS = ("d_model", "encoder_layers", "decoder_layers")


@family("whisper", roots=("model", ""), defaults=WHISPER, attribute_map=NAMES, needs=NEEDS)
def whisper(config: Config, root: str) -> Component:
    """Both halves and the head; a classifier has the encoder alone, a language model the decoder."""
    if config.task == "AudioClassification":
        return classifier(config)
    if config.task not in ("", "ConditionalGeneration", "CausalLM"):
        raise config.undeclared(f"the head of {config.architecture} is not declared")
    width, depth, block = config["d_model"], depth_of(config, "decoder_layers"), decoder_block(config, key_bias=False)
    blocks, norm = numbered("layers", depth, lambda _: block), NORM("layer_norm", Role.FINAL_NORM, width)
    places = positions(width, config["max_target_positions"])
    table = Embedding(name="embed_tokens", rows=config["vocab_size"], width=width)
    head = Head(name="proj_out", vocabulary=table.rows, width=width, tied=bool(config["tie_word_embeddings"]))
    if config.task == "CausalLM":
        decoder = Decoder(
            name="model.decoder", embedding=table, positions=places, blocks=blocks, final_norm=norm, depth=depth
        )
        return CausalLM(decoder=decoder, head=head)
    return EncoderDecoder(
        halves=Halves(
            name=root,
            table=Embedding(name="decoder.embed_tokens", rows=table.rows, width=width),
            encoder=tower(config, "encoder"),
            decoder=Stack(
                name="decoder",
                width=width,
                vocabulary=table.rows,
                table_copy="",
                positions=places,
                blocks=blocks,
                depth=depth,
                final_norm=norm,
                label="decoder",
            ),
        ),
        head=None if config.is_base_model else head,
        start=config["decoder_start_token_id"],
    )


def classifier(config: Config) -> AudioClassifier:
    """Classes of what the encoder hears, of the last layer or of all."""
    inner, width = config["classifier_proj_size"], config["d_model"]
    return AudioClassifier(
        tower=tower(config, "encoder"),
        head=classes(inner, config.labels, of="mean", before=transform(inner, "", dense="projector", inputs=width)),
        mix=LayerSum(count=depth_of(config, "encoder_layers") + 1) if config["use_weighted_layer_sum"] else None,
    )
