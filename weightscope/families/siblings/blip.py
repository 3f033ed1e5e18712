"""Parts of BLIP-2 and InstructBLIP: a tower with fused projections, a Q-Former, any declared language model."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention, Heads, Segments
from weightscope.components.base import Group, Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.projection import Projection
from weightscope.components.sense import Frame
from weightscope.components.vision.blip_patches import BlipPatches
from weightscope.components.vision.encoder import VisionEncoder
from weightscope.components.vision.qformer import CrossAttention, QFormer, QueryLayer, QueryWords
from weightscope.config import Config, Nullable
from weightscope.families.common import layer_norms, numbered
from weightscope.families.common.multimodal import part, replaced
from weightscope.families.common.parts import linears, mlp
from weightscope.families.registry import component_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

WHOLE: dict[str, Any] = {
    "num_query_tokens": 32, "image_token_index": Nullable(int), "architectures": Nullable(list),
}  # fmt: skip
# In the place of an image token that a config does not name.
NO_TOKEN = -1
# What begins a text where the config does not say it: the classes' defaults.
BEGINS = {"opt": 2, "llama": 1}
NAMES = {"image_token_id": "image_token_index"}
VISION: dict[str, Any] = {
    "hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": True,
}  # fmt: skip
QFORMER: dict[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 512, "layer_norm_eps": 1e-12,
    "cross_attention_frequency": 2,
}  # fmt: skip
PROJECTIONS = {
    "attention.query": Role.Q_PROJ, "attention.key": Role.K_PROJ, "attention.value": Role.V_PROJ,
    "output.dense": Role.O_PROJ,
}  # fmt: skip


def tower(config: Config) -> VisionEncoder:
    """That of BLIP-2, whose config says whether queries, keys and values have biases."""
    vision = part(config, "vision_config", VISION)
    return vision_encoder(vision, bias=vision["qkv_bias"])


def vision_encoder(vision: Config, *, bias: bool) -> VisionEncoder:
    """Queries, keys and values are one matrix, with a `bias` or without; the class vector stays."""
    width, norm = vision["hidden_size"], layer_norms(vision["layer_norm_eps"])
    qkv = Linear("self_attn.qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias)
    attention = Attention(
        name="",
        projections=(qkv, Linear("self_attn.projection", Role.O_PROJ, bias=True)),
        width=width,
        heads=_heads(vision),
        sees=Segments("image"),
    )
    block = Block(
        input_norm=norm("layer_norm1", Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm("layer_norm2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(width, vision["intermediate_size"], vision["hidden_act"], names=("fc1", "fc2"), bias=True),
    )
    return VisionEncoder(
        name="vision_model",
        patches=BlipPatches(
            name="embeddings",
            width=width,
            channels=Size(3),
            image=vision["image_size"],
            patch=vision["patch_size"],
            bias=True,
        ),
        pre_norm=None,
        blocks=(Repeat(name="encoder.layers", indices=range(vision["num_hidden_layers"]), child=block),),
        post_norm=norm("post_layernorm", Role.FINAL_NORM, width),
    )


def qformer(
    config: Config,
    qformer: Config,
    encoder: VisionEncoder,
    model: CausalLM,
    *,
    norm: str,
    text: bool,
    words: QueryWords | None = None,
) -> QFormer:
    """The Q-Former between a tower and a language model, its first norm under the name `norm`; with `text` its layers
    have matrices for the tokens of an instruction.
    """
    width, make = qformer["hidden_size"], layer_norms(qformer["layer_norm_eps"])
    heads, often = _heads(qformer), qformer["cross_attention_frequency"]

    def matrices(kind: str) -> MLP:
        names = (f"intermediate{kind}.dense", f"output{kind}.dense")
        return mlp(width, qformer["intermediate_size"], qformer["hidden_act"], name="", names=names, bias=True)

    def layer(i: int) -> QueryLayer:
        crosses = i % often == 0
        cross = CrossAttention(name="crossattention", width=width, features=encoder.patches.width, heads=heads)
        return QueryLayer(
            attention=Attention(
                name="attention",
                projections=linears(PROJECTIONS, bias=True),
                width=width,
                heads=heads,
                sees=Segments("image"),
            ),
            attention_norm=make("attention.output.LayerNorm", Role.POST_ATTENTION_NORM, width),
            cross=cross if crosses else None,
            cross_norm=make("crossattention.output.LayerNorm", Role.POST_ATTENTION_NORM, width) if crosses else None,
            queries=matrices("_query"),
            queries_norm=make("output_query.LayerNorm", Role.POST_FEEDFORWARD_NORM, width),
            words=matrices("") if text else None,
            words_norm=make("output.LayerNorm", Role.POST_FEEDFORWARD_NORM, width) if text else None,
        )

    return QFormer(
        query="query_tokens",
        count=config["num_query_tokens"],
        width=width,
        norm=make(norm, Role.EMBEDDING_NORM, width),
        words=words,
        blocks=numbered("qformer.encoder.layer", qformer["num_hidden_layers"], layer),
        out=Projection(name="language_projection", inputs=width, outputs=_width(model), bias=True),
        each=int(encoder.patches.positions),
    )


def _width(model: CausalLM) -> Size:
    """Of the layers, which OPT's embeddings may be brought to."""
    decoder = model.decoder
    return decoder.widen.outputs if isinstance(decoder.widen, Projection) else decoder.embedding.width


def frame(config: Config) -> Frame | None:
    """How the processor writes a text: after the images the token that begins it, then the text alone."""
    text = config.nested("text_config")
    begins = text.data.get("bos_token_id") or BEGINS.get(text.model_type or "opt")
    return Frame(begin=begins, end="") if isinstance(begins, int) else None


def _heads(config: Config) -> Heads:
    count, width = config["num_attention_heads"], config["hidden_size"]
    if width % count:
        raise config.error(f"{width.text} {width:,} is not a multiple of {count.text} {count:,}")
    return Heads(count=count, keys=count, size=width // count)


def language(config: Config) -> tuple[Group, CausalLM]:
    """The language model under its name, and itself; its own config decides on tying.

    Raises:
        UndeclaredError: it is no decoder, or the whole is another task's model.
    """
    if config.architecture not in ("", "Blip2ForConditionalGeneration", "InstructBlipForConditionalGeneration"):
        raise config.undeclared(f"{config.architecture:.80} is not declared")
    model = component_of(CausalLM, replaced(config.nested("text_config"), architectures=None), "model", "opt")
    return Group(name="language_model", parts=(model,)), model
