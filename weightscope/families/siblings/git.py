"""GIT's language model: BERT's layers, in which a token sees those before it, and vectors of a video's frames."""

from __future__ import annotations

from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Head
from weightscope.components.outline import Outline
from weightscope.components.vision.leading_image import PlacedTokens
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.encoders import post_norm_block, seen, table
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.siblings.bert import NORMS, PROJECTIONS, bert_mlp
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import join
from weightscope.storage.plain import Plain


def language_model(config: Config, root: str) -> CausalLM:
    """Positions and a norm act on tokens alone."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    attention = self_attention(s, linears(PROJECTIONS, bias=True), name="attention", sees=seen(config, causal=True))
    block = post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=bert_mlp(config, s.width))
    rows, places = config["vocab_size"], config["max_position_embeddings"]
    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=table("embeddings.word_embeddings", Role.TOKEN_EMBEDDING, rows, s.width),
            widen=PlacedTokens(
                positions=table("embeddings.position_embeddings", Role.POSITION_EMBEDDING, places, s.width),
                norm=norm("embeddings.LayerNorm", Role.EMBEDDING_NORM, s.width),
            ),
            blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
            final_norm=None,
            depth=s.depth,
        ),
        head=None
        if config.is_base_model
        else Head(name="output", vocabulary=rows, width=s.width, bias=True, tied=bool(config["tie_word_embeddings"])),
    )


def frames(config: Config, root: str, width: Size) -> tuple[Component, ...]:
    """A vector for each frame of a video."""
    count = config["num_image_with_embedding"]
    if not count:
        return ()
    one = Outline(
        items=(Plain("", Role.POSITION_EMBEDDING, leaf=""),),
        shapes=((Role.POSITION_EMBEDDING, (Size(1), Size(1), width)),),
        section=Section.VISION,
    )
    return (Repeat(name=join(root, "img_temporal_embedding"), indices=range(count), child=one, of="part"),)
