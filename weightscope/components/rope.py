"""Rotary position embedding (Su et al. 2021) and its published context extensions, read from either config dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from weightscope.config import Config
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer


class Rope(msgspec.Struct, frozen=True, kw_only=True):
    """Rotation of the first `dim` elements of each head; `kind` is default, linear, dynamic, llama3, yarn or longrope.

    `settings` are the scaling's own numbers under their config names. `interleaved` pairs neighbours (2i, 2i+1)
    rather than halves (i, i + dim/2).
    """

    dim: int
    theta: float
    kind: str = "default"
    settings: Mapping[str, Any] = msgspec.field(default_factory=dict)
    interleaved: bool = False

    @classmethod
    def of(cls, config: Config, head_dim: int, *, interleaved: bool = False) -> Rope:
        """From `rope_parameters` (transformers 5), or from `rope_theta` and `rope_scaling` before that."""
        settings = dict(_object(config, "rope_parameters") or _object(config, "rope_scaling") or {})
        theta = settings.pop("rope_theta", None) or config.get("rope_theta") or config.get("rotary_emb_base") or 10000.0
        share = settings.pop("partial_rotary_factor", None)
        if share is None:
            share = config.get("partial_rotary_factor", config.get("rotary_pct", 1.0))
        share = 1.0 if share is None else share
        for key, value, most in (("rope_theta", theta, 1e300), ("partial_rotary_factor", share, 1)):
            if not isinstance(value, float | int) or not 0 <= value <= most:
                raise config.error(f"{key!r} is {value!r:.60}, which no rotary embedding has")
        kind = settings.pop("rope_type", None) or settings.pop("type", None) or "default"
        settings.pop("type", None)
        return cls(
            dim=int(head_dim * share),
            theta=float(theta),
            # Phi-3 called it "su" after its author before the paper's name was known.
            kind="longrope" if kind == "su" else str(kind),
            settings=settings,
            interleaved=interleaved,
        )

    def table(self, name: str) -> Buffer:
        """The inverse frequencies that checkpoints before transformers 4.32 carry in every layer."""
        return Buffer(name, Role.ROTARY_TABLE, (Size(self.dim // 2),))


def _object(config: Config, key: str) -> dict[str, Any] | None:
    value = config.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value
