"""Files beside a model that sees (mmproj): the vision tower, and what leads from it to the language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from weightscope.errors import UndeclaredError
from weightscope.gguf.architecture import Architecture, Form, Settings
from weightscope.gguf.keys import Keys
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.families.declaration import Declaration

LAYER = {
    Role.PATCH_EMBEDDING: "patch_embd",
    Role.POSITION_EMBEDDING: "position_embd",
    Role.CLASS_EMBEDDING: "class_embd",
    Role.EMBEDDING_NORM: "pre_ln",
    Role.INPUT_NORM: "ln1",
    Role.POST_ATTENTION_NORM: "ln2",
    Role.O_PROJ: "attn_out",
    Role.FINAL_NORM: "post_ln",
}
FIRST = "v.blk.0"
# Older converters called the first matrix of an MLP down and the second up.
SWAPPED = {Role.UP_PROJ: "ffn_down", Role.DOWN_PROJ: "ffn_up"}
# A language model of the least size: only the tower and the projector are in the file.
LEAST = {
    "vocab_size": 1, "intermediate_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1,
    "num_key_value_heads": 1,
}  # fmt: skip
# Patches of an image along a side that become one vector of Gemma 3's, unless the file says otherwise.
GEMMA3_SQUARE = 4


def eye_of(keys: Keys) -> Architecture:
    """The architecture of the file's projector.

    Raises:
        UndeclaredError: a projector that is not known.
    """
    kind = keys.text("projector_type") or keys.text("vision.projector_type")
    if kind is None and keys.flag("has_llava_projector"):
        kind = "mlp"
    found = EYES.get(kind or "")
    if found is None:
        raise UndeclaredError(
            f"a vision part with the projector {kind!r:.40} is not declared", where=keys.metadata.where
        )
    down = keys.rows(f"{FIRST}.ffn_down.weight")
    swapped = down is not None and down != keys.whole("vision.embedding_length")
    return replace(found, names={**found.names, **SWAPPED}) if swapped else found


def _only_eye(declaration: Declaration, keys: Keys) -> Declaration:
    from weightscope.gguf.seeing import only_eye

    del keys
    return only_eye(declaration)


def _tower(keys: Keys) -> dict[str, Any]:
    """What all towers have."""
    return {
        "hidden_size": keys.needed("vision.embedding_length"),
        "intermediate_size": keys.needed("vision.feed_forward_length"),
        "num_hidden_layers": keys.deep("vision.block_count"),
        "num_attention_heads": keys.needed("vision.attention.head_count"),
        "image_size": keys.needed("vision.image_size"),
        "patch_size": keys.needed("vision.patch_size"),
        "layer_norm_eps": keys.number("vision.attention.layer_norm_epsilon"),
    }


def _whole(tower: Mapping[str, Any], model_type: str, width: int | None, **own: Any) -> Settings:
    return {
        "vision_config": tower,
        "text_config": LEAST | {"model_type": model_type, "hidden_size": width or 1, "head_dim": 1},
        # What a language model has at the top of its config.
        **dict.fromkeys((*LEAST, "hidden_size", "max_position_embeddings", "tie_word_embeddings")),
        **own,
    }


def _gemma3(keys: Keys) -> Settings:
    side = keys.needed("vision.image_size") // max(keys.needed("vision.patch_size"), 1)
    square = keys.whole("vision.projector.scale_factor") or GEMMA3_SQUARE
    tower = _tower(keys) | {"model_type": "siglip_vision_model", "vision_use_head": False}
    return _whole(tower, "gemma3_text", keys.needed("vision.projection_dim"), mm_tokens_per_image=(side // square) ** 2)


def _llava(keys: Keys) -> Settings:
    activation = "gelu" if keys.flag("use_gelu") else "quick_gelu"
    tower = _tower(keys) | {"model_type": "clip_vision_model", "hidden_act": activation}
    # The file ends with the layer whose output is used.
    return _whole(tower, "llama", keys.rows("mm.2.weight"), vision_feature_layer=-1, projector_hidden_act="gelu")


def _qwen2_vl(keys: Keys) -> Settings:
    tower = _qwen(keys) | {
        "embed_dim": keys.needed("vision.embedding_length"),
        "hidden_size": keys.needed("vision.projection_dim"),
    }
    inner = max(keys.rows(f"{FIRST}.{name}.weight") or 0 for name in ("ffn_up", "ffn_down"))
    return _whole(tower | {"mlp_ratio": inner // max(tower["embed_dim"], 1)}, "qwen2_vl_text", 1)


def _qwen25_vl(keys: Keys) -> Settings:
    every, depth = keys.whole("vision.n_wa_pattern") or 0, keys.deep("vision.block_count")
    tower = _qwen_wide(keys) | {
        "fullatt_block_indexes": [layer for layer in range(depth) if not every or (layer + 1) % every == 0],
    }
    return _whole(tower, "qwen2_5_vl_text", 1)


def _qwen3_vl(keys: Keys) -> Settings:
    told = keys.metadata.wholes("clip.vision.is_deepstack_layers") or ()
    tower = _qwen_wide(keys) | {
        "num_position_embeddings": keys.rows("v.position_embd.weight"),
        "deepstack_visual_indexes": [layer for layer, taps in enumerate(told) if taps],
    }
    return _whole(tower, "qwen3_vl_text", 1)


def _qwen(keys: Keys) -> dict[str, Any]:
    """What all of Qwen's towers have."""
    return {
        "depth": keys.deep("vision.block_count"),
        "num_heads": keys.needed("vision.attention.head_count"),
        "patch_size": keys.needed("vision.patch_size"),
    }


def _qwen_wide(keys: Keys) -> dict[str, Any]:
    """The same with the widths, as Qwen has them since 2.5."""
    return _qwen(keys) | {
        "hidden_size": keys.needed("vision.embedding_length"),
        "intermediate_size": keys.needed("vision.feed_forward_length"),
        "out_hidden_size": keys.needed("vision.projection_dim"),
    }


TOWER = {"vision_tower": "v."}
GEMMA3_FORMS: Mapping[Role, Form] = {Role.PROJECTOR: "as it is"}
GEMMA3 = Architecture(
    model_type="gemma3",
    settings=_gemma3,
    names=LAYER | {Role.PROJECTOR: "mm.input_projection", Role.PROJECTOR_NORM: "mm.soft_emb_norm"},
    changes={Role.PROJECTOR_NORM: ("plus one",)},
    forms=GEMMA3_FORMS,
    stacks=TOWER,
    cut=_only_eye,
)
LLAVA_MODULES = {"multi_modal_projector.linear_1": "mm.0", "multi_modal_projector.linear_2": "mm.2"}
LLAVA_FORMS: Mapping[Role, Form] = {Role.CLASS_EMBEDDING: "bare"}
LLAVA = Architecture(
    model_type="llava",
    settings=_llava,
    names=LAYER,
    modules=LLAVA_MODULES,
    stacks=TOWER,
    forms=LLAVA_FORMS,
    lacks=frozenset({Role.FINAL_NORM}),
    cut=_only_eye,
)
QWEN_FORMS: Mapping[Role, Form] = {Role.PATCH_EMBEDDING: "frames"}
QWEN_MODULES = {"merger.ln_q": "v.post_ln", "merger.mlp.0": "mm.0", "merger.mlp.2": "mm.2"}
QWEN2_VL = Architecture(
    model_type="qwen2_vl",
    settings=_qwen2_vl,
    names=LAYER,
    modules=QWEN_MODULES,
    stacks={"visual": "v."},
    forms=QWEN_FORMS,
    cut=_only_eye,
)
QWEN3_VL = replace(
    QWEN2_VL,
    model_type="qwen3_vl",
    settings=_qwen3_vl,
    modules={
        "deepstack_merger_list.{}.norm": "v.deepstack.{}.norm",
        "deepstack_merger_list.{}.linear_fc1": "v.deepstack.{}.fc1",
        "deepstack_merger_list.{}.linear_fc2": "v.deepstack.{}.fc2",
        "merger.norm": "v.post_ln",
        "merger.linear_fc1": "mm.0",
        "merger.linear_fc2": "mm.2",
    },
    lists={"deepstack_merger_list": ("vision_config", "deepstack_visual_indexes")},
)
QWEN25_VL = replace(QWEN2_VL, model_type="qwen2_5_vl", settings=_qwen25_vl)

EYES: Mapping[str, Architecture] = {
    "gemma3": GEMMA3,
    "mlp": LLAVA,
    "qwen2vl_merger": QWEN2_VL,
    "qwen2.5vl_merger": QWEN25_VL,
    "qwen3vl_merger": QWEN3_VL,
}
