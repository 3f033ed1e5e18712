"""Rotary position embedding (Su et al. 2021) and its published context extensions, read from either config dialect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.config import Config
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch


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
    def of(cls, config: Config, head_dim: int, *, interleaved: bool = False, longrope: tuple[str, ...] = ()) -> Rope:
        """From `rope_theta` and `rope_scaling`, or from `rope_parameters` as transformers 5 writes it.

        `longrope` are the names by which a family calls that scaling beside its own.
        """
        settings = dict(_object(config, "rope_scaling") or _object(config, "rope_parameters") or {})
        theta = settings.pop("rope_theta", None) or config.get("rope_theta") or config.get("rotary_emb_base") or 10000.0
        kind = settings.pop("rope_type", None) or settings.pop("type", None) or "default"
        settings.pop("type", None)
        own = next((key for key in ("partial_rotary_factor", "rotary_pct") if key in config.defaults), None)
        share = settings.pop("partial_rotary_factor", None)
        # A class without the key ignores it, but for the scalings that all classes share.
        if own is None and kind == "default":
            share = None
        elif share is None and own:
            share = config[own]
        share = 1.0 if share is None else share
        for key, value, most in (("rope_theta", theta, 1e300), ("partial_rotary_factor", share, 1)):
            if not isinstance(value, float | int) or not 0 <= value <= most:
                raise config.error(f"{key!r} is {value!r:.60}, which no rotary embedding has")
        return cls(
            dim=int(head_dim * share),
            theta=float(theta),
            # Phi-3 called it "su" after its author before the paper's name was known.
            kind="longrope" if kind == "su" or kind in longrope else str(kind),
            settings=settings,
            interleaved=interleaved,
        )

    def table(self, name: str) -> Buffer:
        """The inverse frequencies that checkpoints before transformers 4.32 carry in every layer."""
        return Buffer(name, Role.ROTARY_TABLE, (Size(-(-self.dim // 2)),))

    @property
    def score_scale(self) -> float:
        """What YaRN with `mscale_all_dim` multiplies DeepSeek's attention scores by."""
        all_dim, factor = self.settings.get("mscale_all_dim"), self.settings.get("factor")
        return _mscale(factor, all_dim) ** 2 if self.kind == "yarn" and all_dim and factor else 1.0

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        """X [heads, T, head_dim] with its first `dim` elements rotated by position."""
        import torch

        frequencies, factor = self._frequencies()
        angles = torch.outer(torch.arange(x.shape[1], dtype=frequencies.dtype), frequencies)
        cos, sin = (angles.cos() * factor).to(x.dtype), (angles.sin() * factor).to(x.dtype)
        half = len(frequencies)
        turned, rest = x[..., : 2 * half], x[..., 2 * half :]
        if self.interleaved:
            a, b = turned[..., 0::2], turned[..., 1::2]
        else:
            a, b = turned[..., :half], turned[..., half:]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)

    def _frequencies(self) -> tuple[torch.Tensor, float]:
        """Inverse frequencies [dim/2], and what the rotated vectors are multiplied by.

        Raises:
            NotImplementedByWeightscope: a scaling that is not implemented, by name.
        """
        try:
            return self._scaled()
        except (KeyError, TypeError) as error:
            raise NotImplementedByWeightscope(
                f"the rope scaling {self.kind!r} is not implemented without {error}"
            ) from None

    def _scaled(self) -> tuple[torch.Tensor, float]:
        import torch

        plain = 1.0 / self.theta ** (torch.arange(0, self.dim, 2, dtype=torch.float32) / self.dim)
        if self.kind == "default":
            return plain, 1.0
        if self.kind == "linear":
            return plain / self.settings["factor"], 1.0
        if self.kind == "llama3":
            return self._llama3(plain), 1.0
        if self.kind == "yarn":
            return self._yarn(plain)
        raise NotImplementedByWeightscope(f"the rope scaling {self.kind!r} is not implemented")

    def _llama3(self, plain: torch.Tensor) -> torch.Tensor:
        """Llama 3.1: long waves are slowed by `factor`, short ones kept, those between blended."""
        import torch

        settings = self.settings
        factor, low, high = settings["factor"], settings["low_freq_factor"], settings["high_freq_factor"]
        rotations = settings["original_max_position_embeddings"] * plain / (2 * torch.pi)
        kept = ((rotations - low) / (high - low)).clamp(0, 1)
        blended: torch.Tensor = plain / factor * (1 - kept) + plain * kept
        return blended

    def _yarn(self, plain: torch.Tensor) -> tuple[torch.Tensor, float]:
        """YaRN (arXiv 2309.00071), with DeepSeek's `mscale`."""
        import torch

        settings = self.settings
        factor, context = settings["factor"], settings["original_max_position_embeddings"]

        def place(rotations: float) -> float:
            return self.dim * math.log(context / (rotations * 2 * math.pi)) / (2 * math.log(self.theta))

        low, high = place(settings.get("beta_fast") or 32), place(settings.get("beta_slow") or 1)
        if settings.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, self.dim - 1)
        ramp = (torch.arange(len(plain), dtype=torch.float32) - low) / (high - low if high != low else 0.001)
        slowed = ramp.clamp(0, 1)
        attention = settings.get("attention_factor")
        if attention is None:
            mscale, all_dim = settings.get("mscale"), settings.get("mscale_all_dim")
            attention = _mscale(factor, mscale) / _mscale(factor, all_dim) if mscale and all_dim else _mscale(factor, 1)
        return plain / factor * slowed + plain * (1 - slowed), float(attention)


def _object(config: Config, key: str) -> dict[str, Any] | None:
    value = config.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value


def _mscale(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0
