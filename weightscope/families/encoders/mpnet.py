"""MPNet (arXiv 2004.09297): BERT with relative positions besides the learned ones. Source: transformers' class."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.attention.relative import Relative
from weightscope.components.attention.shared_table import SharedTable
from weightscope.components.base import Repeat
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.config import Config
from weightscope.families.common import Dims
from weightscope.families.common.encoders import classes, heads_of, leaves_pooled, pooler, post_norm_block, seen, table
from weightscope.families.common.parts import linears, self_attention
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.families.siblings.bert import BERT, NEEDS, bert_mlp, roberta_heads, roots_of, spelled
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

UNREAD = ("is_decoder", "add_cross_attention", "position_embedding_type", "type_vocab_size")
MPNET = {key: default for key, default in BERT.items() if key not in UNREAD} | {
    "vocab_size": 30527, "relative_attention_num_buckets": 32,
}  # fmt: skip
PROJECTIONS = {"attn.q": Role.Q_PROJ, "attn.k": Role.K_PROJ, "attn.v": Role.V_PROJ, "attn.o": Role.O_PROJ}
NORMS = ("attention.LayerNorm", "output.LayerNorm")
# The class takes this token for padding, whatever the config says.
PADDING = 1
TABLE, GROUP = "relative_attention_bias", "all layers"


@family("mpnet", roots=roots_of("mpnet"), defaults=MPNET, needs=NEEDS)
def mpnet(config: Config, root: str) -> EncoderModel:
    """One table of 32 buckets of distances, which reach 128, serves all layers."""
    require(config, "MPNet", {"relative_attention_num_buckets": 32})
    prefix, norm = spelled(config, root)
    s, places = Dims.of(config), config["max_position_embeddings"]
    distances = Relative(buckets=config["relative_attention_num_buckets"], farthest=128, both=True, group=GROUP)
    projections = linears(PROJECTIONS, bias=True)
    attention = self_attention(s, projections, name="attention", positions=distances, sees=seen(config))
    block = post_norm_block(norm, s.width, NORMS, attention=attention, feed_forward=bert_mlp(config, s.width))
    known = roberta_heads(config, s.width, norm) | {"MultipleChoice": (classes(s.width, 1, of="pooled"),)}
    heads = heads_of(config, known)
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=TokenEmbeddings(
                name="embeddings",
                words=table("word_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                positions=table("position_embeddings", Role.POSITION_EMBEDDING, places, s.width, offset=PADDING + 1),
                norm=norm("LayerNorm", Role.EMBEDDING_NORM, s.width),
                buffers=(Buffer("position_ids", Role.POSITION_IDS, (Size(1), places)),),
            ),
            before=SharedTable(name="encoder", distances=replace(distances, table=TABLE), heads=s.heads.count),
            blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
            pooler=pooler(s.width, unused=leaves_pooled(heads)),
            depth=s.depth,
        ),
        heads=heads,
        padding=PADDING,
    )
