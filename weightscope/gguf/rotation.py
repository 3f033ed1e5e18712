"""The rotation as a config states it, from the keys of a GGUF file."""

from __future__ import annotations

from typing import Any

from weightscope.errors import UndeclaredError
from weightscope.gguf.keys import Keys

# What llama.cpp takes where the file says nothing.
THETA, FAST, SLOW = 10000.0, 32.0, 1.0


def rotation(keys: Keys, *, share: bool = True) -> dict[str, Any]:
    """`rope_theta`, `rope_scaling`, and with `share` the part of a head that turns where that is not all.

    Raises:
        UndeclaredError: a kind of scaling that is not known.
    """
    turned, size = keys.whole("rope.dimension_count"), keys.head_size
    return {
        "rope_theta": keys.number("rope.freq_base") or THETA,
        "rope_scaling": scaling(keys),
        "partial_rotary_factor": turned / size if share and turned and size and turned != size else None,
    }


def rotation_by_axes(keys: Keys) -> dict[str, Any]:
    """The rotation of a model that sees: how many pairs of a head turn by time, row and column."""
    turned = rotation(keys, share=False)
    parameters = (turned["rope_scaling"] or {"rope_type": "default"}) | {"rope_theta": turned["rope_theta"]}
    sections = keys.metadata.wholes(f"{keys.architecture}.rope.dimension_sections")
    if sections:
        parameters["mrope_section"] = list(sections[:3])
    return {"rope_scaling": None, "rope_parameters": parameters}


def scaling(keys: Keys) -> dict[str, Any] | None:
    """Linear scaling or YaRN; None where there is none, and for the factors that lie in tensors."""
    kind = keys.text("rope.scaling.type")
    factor = keys.number("rope.scaling.factor")
    if kind in (None, "none", "longrope"):
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor or 1.0}
    if kind != "yarn":
        raise UndeclaredError(f"the rope scaling {kind!r:.40} is not declared", where=keys.metadata.where)
    return {
        "rope_type": "yarn",
        "factor": factor or 1.0,
        "original_max_position_embeddings": keys.whole("rope.scaling.original_context_length"),
        "attention_factor": keys.number("rope.scaling.yarn_attn_factor"),
        "beta_fast": keys.number("rope.scaling.yarn_beta_fast") or FAST,
        "beta_slow": keys.number("rope.scaling.yarn_beta_slow") or SLOW,
    }
