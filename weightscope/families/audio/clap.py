"""CLAP (arXiv 2211.06687): a text and a sound compared. Source: `ClapConfig` of transformers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.audio.contrast import AudioContrast
from weightscope.components.base import Group
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.projection import Projection
from weightscope.components.vision.projector import Projector
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import pooler, token_embeddings
from weightscope.families.common.multimodal import part
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, bert_layers
from weightscope.families.siblings.spectrograms import AUDIO, spectrogram_encoder
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

TEXT = {key: value for key, value in BERT.items() if key not in ("is_decoder", "add_cross_attention")} | {
    "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": Nullable(int, 1),
}  # fmt: skip
CLAP = {"projection_dim": 512, "projection_hidden_act": "relu"}


@family("clap", roots=("",), defaults=CLAP, needs=("text_config", "audio_config"))
def clap(config: Config, root: str) -> AudioContrast:
    """RoBERTa beside Swin over a spectrogram; both vectors go through two matrices of the whole's own width."""
    text, audio = part(config, "text_config", TEXT), part(config, "audio_config", AUDIO)
    tower = spectrogram_encoder(audio, "audio_encoder")
    return AudioContrast(
        name=root,
        text=text_model(text),
        text_projection=projector(config, "text_projection", text["hidden_size"]),
        ear=Group(name="audio_model", parts=(tower,)),
        audio_projection=projector(config, "audio_projection", audio["hidden_size"]),
        hears=audio["hidden_size"],
    )


def text_model(config: Config) -> EncoderModel:
    """RoBERTa, whose positions count from the token after padding; files hold two tables of indices.

    Raises:
        UndeclaredError: no padding token.
    """
    padding, norm = config["pad_token_id"], layer_norms(config["layer_norm_eps"])
    if padding is None:
        raise config.undeclared("CLAP without a pad_token_id is not declared")
    s = Dims.of(config, even=True)
    tables = token_embeddings(config, s.width, norm("LayerNorm", Role.EMBEDDING_NORM, s.width), offset=int(padding) + 1)
    types = Buffer("token_type_ids", Role.POSITION_IDS, (Size(1), config["max_position_embeddings"]))
    encoder = Encoder(
        name="text_model",
        embeddings=replace(tables, buffers=(*tables.buffers, types)),
        blocks=bert_layers(config, s, norm),
        pooler=pooler(s.width),
        depth=s.depth,
    )
    return EncoderModel(encoder=encoder, padding=int(padding))


def projector(config: Config, name: str, inputs: Size) -> Projector:
    """Two matrices."""
    width = config["projection_dim"]
    parts = tuple(
        Projection(name=f"linear{number}", inputs=taken, outputs=width, bias=True, role=Role.OUTPUT_PROJ)
        for number, taken in ((1, inputs), (2, width))
    )
    return Projector(name=name, parts=parts, activation=config["projection_hidden_act"], section=Section.HEAD)
