"""Parts of Qwen's vision-language models: tower, merger, spellings, and the config of the language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from weightscope.components.attention import Attention, Heads, Segments
from weightscope.components.attention.axial import Axial
from weightscope.components.base import Component, Group
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.vision.grid_eye import GridEye
from weightscope.components.vision.grid_tower import GridTower
from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.patches import PatchProjection
from weightscope.config import Config, Nullable
from weightscope.families.registry import component_of
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem
from weightscope.storage.linear import Linear

# What a root stands for: prefixes of the tower, of the language model, and of its decoder within it. mlx-vlm keeps the
# tower, mlx-lm leaves it out.
TOWERLESS = "as mlx-lm has it"
PUBLISHED_APART = {
    "as published": ("visual", "", "model"),
    "as transformers 5 holds it": ("model.visual", "", "model.language_model"),
    TOWERLESS: ("", "language_model", "model"),
    "as MLX has it": ("vision_tower", "language_model", "model"),
}
PUBLISHED_TOGETHER = {
    "as published": ("model.visual", "", "model.language_model"),
    TOWERLESS: ("", "language_model", "model"),
    "as MLX has it": ("vision_tower", "language_model", "model"),
}
WHOLE: dict[str, Any] = {
    "image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652, "vision_end_token_id": 151653,
    "tie_word_embeddings": Nullable(bool),
    "architectures": Nullable(list),
}  # fmt: skip
PARTS = ("text_config", "vision_config")
TOWER: dict[str, Any] = {
    "depth": 32, "num_heads": 16, "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2,
    "temporal_patch_size": 2, "rope_parameters": Nullable(dict),
}  # fmt: skip
# Queries, keys and values in one matrix.
FUSED: tuple[StorageItem, ...] = (
    Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
    Linear("proj", Role.O_PROJ, bias=True),
)
TOWER_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "depth"}


def language_config(config: Config, model_type: str) -> Config:
    """The language model's config: `text_config`, or of a flat config, as most are published, all but the tower's."""
    flat = not isinstance(config.data.get("text_config"), dict) and "hidden_size" in config.data
    text = config if flat else config.nested("text_config")
    # The whole decides on tying, whatever the part says.
    decided = {"architectures": config["architectures"], "tie_word_embeddings": bool(config["tie_word_embeddings"])}
    data = {key: value for key, value in text.data.items() if key != "vision_config"} | decided
    if data.get("model_type") in (None, config.model_type):
        data["model_type"] = model_type
    return Config(data, source=config.source, prefix=text.prefix, read=config.read)


def seeing(
    config: Config, spelling: tuple[str, str, str], tower: Callable[[str], GridTower], text: str
) -> VisionLanguage | CausalLM:
    """The tower and the language model under a spelling; `text` is the language model's type."""
    model = component_of(CausalLM, language_config(config, text), spelling[2], text)
    return beside(config, spelling, tower, model)


def beside(
    config: Config, spelling: tuple[str, str, str], tower: Callable[[str], GridTower], model: CausalLM
) -> VisionLanguage | CausalLM:
    """The tower and this language model under a spelling."""
    eye, language, _ = spelling
    if not eye:
        return replace(model, name=language)
    return VisionLanguage(
        eye=GridEye(tower=tower(eye)),
        language=Group(name=language, parts=(model,)),
        image_token=int(config["image_token_id"]),
        other_tokens=((int(config["video_token_id"]), "a video"),),
        around=((int(config["vision_start_token_id"]),), (int(config["vision_end_token_id"]),)),
    )


def patches(config: Config, width: Size, *, bias: bool = False) -> PatchProjection:
    """Patches of `temporal_patch_size` × `patch_size` × `patch_size` pixels to vectors of the tower's width."""
    return PatchProjection(
        name="patch_embed",
        width=width,
        channels=config["in_channels"],
        frames=config["temporal_patch_size"],
        patch=config["patch_size"],
        bias=bias,
    )


def vision_attention(
    config: Config, width: Size, sees: Segments, projections: tuple[StorageItem, ...] = FUSED
) -> Attention:
    """All of a head turns, half by row and half by column; heads share keys where the class can say so."""
    count = config["num_heads"]
    keys = config["num_key_value_heads"] if config.declares("num_key_value_heads") else count
    if width % (4 * count):
        raise config.error(f"{width.text} {width:,} must be a multiple of 4 · {count.text} ({count:,})")
    return Attention(
        name="attn",
        projections=projections,
        width=width,
        heads=Heads(count=count, keys=keys, size=width // count),
        positions=Axial(dim=int(width // count), theta=float((config["rope_parameters"] or {}).get("rope_theta", 1e4))),
        sees=sees,
    )


def vision_block(norm: Callable[[str, Role, Size], Norm], width: Size, attention: Attention, mlp: Component) -> Block:
    """X + attn(norm1(x)), then x + mlp(norm2(x))."""
    return Block(
        input_norm=norm("norm1", Role.INPUT_NORM, width),
        attention=attention,
        feed_forward_norm=norm("norm2", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp,
    )


def merger(
    config: Config,
    width: Size,
    outputs: Size,
    norm: Norm,
    names: tuple[str, str],
    *,
    name: str = "merger",
    norms_squares: bool = False,
) -> PatchMerger:
    """Squares of `spatial_merge_size` patches, through two matrices with GELU between."""
    square = config["spatial_merge_size"] * config["spatial_merge_size"]
    inner = width * square
    return PatchMerger(
        name=name,
        norm=norm,
        first=Projection(name=names[0], inputs=inner, outputs=inner, bias=True),
        second=Projection(name=names[1], inputs=inner, outputs=outputs, bias=True),
        activation="gelu",
        square=int(square),
        norms_squares=norms_squares,
    )
