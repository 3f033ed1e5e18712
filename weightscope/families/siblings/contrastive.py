"""What CLIP and SigLIP share: a text encoder with learned positions, classes of images."""

from __future__ import annotations

from weightscope.components.attention import Sees
from weightscope.components.base import Component, Repeat
from weightscope.components.buffers import Buffers
from weightscope.components.decoder import Block, Decoder, TextEncoder
from weightscope.components.embedding import Classifier, Embedding
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.naflex import NaflexEncoder
from weightscope.components.vision.vision_head import VisionHead
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.registry import component_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import join
from weightscope.storage.plain import Buffer

PARTS = ("text_config", "vision_config")
TEXT_NEEDS = ("hidden_size", "num_hidden_layers")
PROJECTIONS = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


def image_classes(kind: type[VisionEncoder | NaflexEncoder], config: Config, usual: str) -> VisionHead:
    """The vision encoder alone, of the type `usual`, and a head over classes.

    Raises:
        UndeclaredError: the vision_config is of another kind.
    """
    tower = component_of(kind, config.nested("vision_config"), "vision_model", usual)
    classifier = Classifier(name="classifier", labels=config.labels, width=tower.patches.width, bias=True)
    return VisionHead(tower=tower, head=classifier)


def text_encoder(config: Config, root: str, sees: Sees, *, extras: tuple[Component, ...] = ()) -> TextEncoder:
    """Norms before each half of a block, and one last; no head over the vocabulary."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_eps"])
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(PROJECTIONS, bias=True), sees=sees),
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True),
    )
    places = config["max_position_embeddings"]
    table = Buffer(join(root, "embeddings.position_ids"), Role.POSITION_IDS, (Size(1), places))
    return TextEncoder(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embeddings.token_embedding", rows=config["vocab_size"], width=s.width),
            positions=Embedding(
                name="embeddings.position_embedding", role=Role.POSITION_EMBEDDING, rows=places, width=s.width
            ),
            blocks=(Repeat(name="encoder.layers", indices=range(s.depth), child=block),),
            final_norm=norm("final_layer_norm", Role.FINAL_NORM, s.width),
            depth=s.depth,
        ),
        head=None,
        extras=(Buffers(items=(table,)), *extras),
    )
