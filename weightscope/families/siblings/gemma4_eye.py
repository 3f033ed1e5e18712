"""The eye of Gemma 4: its vision tower, what its config says of images, and the model around it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from weightscope.components.attention import Attention, HeadNorms, Heads, Scores, Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.audio.ear import Ear
from weightscope.components.base import Group, Repeat
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.components.norm import RMSNorm
from weightscope.components.running import Whole
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.normed import NormedProjector
from weightscope.components.vision.placed import PlacedEye
from weightscope.components.vision.placed_patches import MergedPatches
from weightscope.components.vision.placed_tower import PlacedPatches, PlacedTower, Standardized
from weightscope.config import Config, Nullable
from weightscope.families.common import depth_of, rms_norms
from weightscope.families.siblings.gemma import sandwich
from weightscope.families.siblings.gemma_audio import Matrices
from weightscope.roles import Role
from weightscope.sizes import Size

WHOLE: dict[str, Any] = {
    "boi_token_id": Nullable(int, 255999), "eoi_token_id": Nullable(int, 258882), "image_token_id": 258880,
    "video_token_id": Nullable(int, 258884), "audio_token_id": Nullable(int, 258881),
    "boa_token_id": Nullable(int, 256000), "eoa_token_index": Nullable(int, 258883), "tie_word_embeddings": True,
    "architectures": Nullable(list),
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16, "num_attention_heads": 12,
    "num_key_value_heads": 12, "head_dim": 64, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6,
    "rope_parameters": Nullable(dict), "pooling_kernel_size": 3, "patch_size": 16, "position_embedding_size": 10240,
    "use_clipped_linears": False, "standardize": False,
}  # fmt: skip
# What the language model's config says that only the whole needs.
ABOUT_IMAGES: dict[str, Any] = {"use_bidirectional_attention": Nullable(str), "pad_token_id": 0}


def has(config: Config, part: str) -> bool:
    """Whether a part is there: its config may be absent or null."""
    return config.data.get(part) is not None


def tower(config: Config, name: str) -> PlacedTower:
    """A block has norms before and after each half, its queries, keys and values are normed.

    Raises:
        ConfigError: heads that cannot be rotated by two axes.
    """
    width, norm, eps = config["hidden_size"], rms_norms(config["rms_norm_eps"]), config["rms_norm_eps"]
    matrices, head = Matrices(clipped=config["use_clipped_linears"]), config["head_dim"]
    if head % 4:
        raise config.error(f"{head.text} {head:,} is not a multiple of 4, so two axes cannot rotate it")
    theta = float((config["rope_parameters"] or {}).get("rope_theta", 100.0))
    four = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "o_proj": Role.O_PROJ}
    three = {"gate_proj": Role.GATE_PROJ, "up_proj": Role.UP_PROJ, "down_proj": Role.DOWN_PROJ}
    attention = Attention(
        name="self_attn",
        projections=tuple(matrices(word, role) for word, role in four.items()),
        width=width,
        heads=Heads(count=config["num_attention_heads"], keys=config["num_key_value_heads"], size=head),
        norms=HeadNorms(
            query=norm("q_norm", Role.Q_NORM, head),
            key=norm("k_norm", Role.K_NORM, head),
            value=RMSNorm(name="v_norm", role=Role.V_NORM, size=head, eps=eps, weighted=False),
        ),
        positions=Axial(dim=int(head), theta=theta, apart=True),
        sees=Segments("image"),
        scores=Scores(scale=1.0),
    )
    mlp = GatedMLP(
        name="mlp",
        items=tuple(matrices(word, role) for word, role in three.items()),
        width=width,
        inner=config["intermediate_size"],
        activation=config["hidden_activation"],
    )
    block = sandwich(norm, width, attention=attention, feed_forward=mlp)
    return PlacedTower(
        name=name,
        patches=PlacedPatches(
            name="patch_embedder", width=width, patch=config["patch_size"], rows=config["position_embedding_size"]
        ),
        blocks=(Repeat(name="encoder.layers", indices=range(depth_of(config)), child=block),),
        square=int(config["pooling_kernel_size"]),
        standardized=Standardized(width=width) if config["standardize"] else None,
    )


def seeing(
    config: Config,
    model: CausalLM,
    language: str,
    *,
    eye: PlacedTower | MergedPatches | None,
    bridge: NormedProjector | None,
    ear: Ear | None,
    whole: Whole,
) -> VisionLanguage | CausalLM:
    """The parts as one model; without an eye it is the language model in its place."""
    if eye is None or bridge is None:
        if ear:
            raise config.undeclared(f"{config.model_type} with audio_config and without vision_config is not declared")
        return replace(model, name=language)
    text = config.nested("text_config").with_defaults(ABOUT_IMAGES)
    audio = config["audio_token_id"]
    others = ((config["video_token_id"], "a video"), (None if ear else audio, "audio"))
    return VisionLanguage(
        eye=PlacedEye(tower=eye, bridge=bridge, begin=config["boi_token_id"], end=config["eoi_token_id"]),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=tuple((int(token), what) for token, what in others if token is not None),
        images_whole=whole if text["use_bidirectional_attention"] == "vision" else "",
        blank=int(text["pad_token_id"]),
        ear=ear,
        # Without a token nothing stands for audio.
        audio_token=-1 if audio is None else int(audio),
    )


def bridge_of(part: Config, name: str, inputs: Size, model: CausalLM) -> NormedProjector:
    """From features of so many elements to the language model's width."""
    return NormedProjector(name=name, inputs=inputs, outputs=model.decoder.embedding.width, eps=part["rms_norm_eps"])
