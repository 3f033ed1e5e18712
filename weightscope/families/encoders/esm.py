"""ESM-1b and ESM-2 (Rives et al. 2021; Lin et al. 2023), encoders of proteins. Source: `EsmConfig` of transformers."""

from __future__ import annotations

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.encoder import Encoder, EncoderModel
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.encoders import classes, first_classes, heads_of, pooler, seen
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.families.siblings.bert import NEEDS, PROJECTIONS, roots_of, spelled
from weightscope.families.siblings.esm import ESM, embeddings, left_over, tables, vocabulary
from weightscope.roles import Role
from weightscope.sizes import Size


@family("esm", roots=roots_of("esm"), defaults=ESM, needs=("vocab_size", *NEEDS))
def esm(config: Config, root: str) -> EncoderModel:
    """Norms before the halves; learned positions, or a rotation. What tells contacts of residues is not computed."""
    refuse(config, "ESM", ("is_folding_model", "add_cross_attention"))
    padding, kind = config["pad_token_id"], config["position_embedding_type"]
    if padding is None or kind not in ("absolute", "rotary"):
        raise config.undeclared(
            f"ESM with position_embedding_type {kind!r:.60} and pad_token_id {padding} is not declared"
        )
    turns = kind == "rotary"
    prefix, norm = spelled(config, root)
    plain = layer_norms(config["layer_norm_eps"])
    s = Dims.of(config)
    stored = tables(s.head_dim, "self.rotary_embeddings.inv_freq") if turns else ()
    block = Block(
        input_norm=norm("attention.LayerNorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            (*linears(PROJECTIONS, bias=True), *stored),
            name="attention",
            positions=rotary(config, s.head_dim) if turns else None,
            sees=seen(config, causal=bool(config["is_decoder"])),
        ),
        feed_forward_norm=norm("LayerNorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(
            s.width,
            config["intermediate_size"],
            "gelu",
            name="",
            names=("intermediate.dense", "output.dense"),
            bias=True,
        ),
    )
    known = {
        "MaskedLM": (vocabulary(config, s.width, plain("layer_norm", Role.NORM, s.width)),),
        "SequenceClassification": (first_classes(config, s.width),),
        "TokenClassification": (classes(s.width, config.labels, of="tokens"),),
    }
    heads = heads_of(config, known)
    contacts = f"{prefix}.contact_head.regression" if prefix else "contact_head.regression"
    return EncoderModel(
        encoder=Encoder(
            name=prefix,
            embeddings=embeddings(config, s, plain, padding=int(padding), turns=turns),
            blocks=(Repeat(name="encoder.layer", indices=range(s.depth), child=block),),
            final_norm=plain("encoder.emb_layer_norm_after", Role.FINAL_NORM, s.width),
            pooler=pooler(s.width, unused=bool(heads)),
            depth=s.depth,
        ),
        heads=heads,
        extras=(
            *((left_over(config, prefix),) if turns else ()),
            Projection(name=contacts, inputs=s.depth * s.heads.count, outputs=Size(1), bias=True, role=Role.CLASSIFIER),
        ),
        causal=bool(config["is_decoder"]),
        padding=None if turns else int(padding),
    )
