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
    """Rotation of the first `dim` elements of each head; `kind` is default, linear, dynamic, ntk_alpha, llama3,
    proportional, yarn or longrope.

    `settings` are the scaling's own numbers under their config names. `interleaved` pairs neighbours (2i, 2i+1)
    rather than halves (i, i + dim/2). `context` is the config's `max_position_embeddings`, `trained` its
    `original_max_position_embeddings`. `sections` are how many pairs turn by each axis of a multi-axis position
    (Qwen2-VL, arXiv 2409.12191): one axis after the other, or with `alternating` in turns (Qwen3-VL). Positions from
    `limit` on are refused, because of what `beyond` says.
    """

    dim: int
    theta: float
    kind: str = "default"
    settings: Mapping[str, Any] = msgspec.field(default_factory=dict)
    interleaved: bool = False
    context: int | None = None
    trained: int | None = None
    sections: tuple[int, ...] = ()
    alternating: bool = False
    limit: int | None = None
    beyond: str = ""

    @classmethod
    def of(
        cls,
        config: Config,
        head_dim: int,
        *,
        interleaved: bool = False,
        longrope: tuple[str, ...] = (),
        layers: str | None = None,
    ) -> Rope:
        """From `rope_theta` and `rope_scaling`, or from `rope_parameters` as transformers 5 writes it.

        `longrope` are the names by which a family calls that scaling beside its own. `layers` is a kind of layer where
        each has its own rotation: `rope_parameters` holds one for each; of the older keys `rope_local_base_freq` is the
        theta of sliding_attention, and the others are full_attention's (Gemma 3).
        """
        theta_key = "rope_local_base_freq" if layers == "sliding_attention" else "rope_theta"
        settings = dict(_settings(config, layers))
        theta = settings.pop("rope_theta", None) or config.get(theta_key) or config.get("rotary_emb_base") or 10000.0
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
        sections = settings.pop("mrope_section", None) or ()
        # Qwen2-VL's first name for its plain rotation by three axes.
        kind = "default" if kind == "mrope" else kind
        for key, value, most in (("rope_theta", theta, 1e300), ("partial_rotary_factor", share, 1)):
            if not isinstance(value, float | int) or not 0 <= value <= most:
                raise config.error(f"{key!r} is {value!r:.60}, which no rotary embedding has")
        if kind == "proportional":
            # All of the head turns, but for the slowest waves, which stand still.
            settings["partial_rotary_factor"], share = share, 1.0
        return cls(
            dim=int(head_dim * share),
            theta=float(theta),
            # Phi-3 called it "su" after its author before the paper's name was known.
            kind="longrope" if kind == "su" or kind in longrope else str(kind),
            settings=settings,
            interleaved=interleaved,
            context=config.get("max_position_embeddings"),
            trained=config.get("original_max_position_embeddings"),
            sections=tuple(sections),
            alternating=bool(settings.pop("mrope_interleaved", False)),
        )

    def table(self, name: str) -> Buffer:
        """The inverse frequencies that checkpoints before transformers 4.32 carry in every layer."""
        return Buffer(name, Role.ROTARY_TABLE, (Size(-(-self.dim // 2)),))

    @property
    def score_scale(self) -> float:
        """What YaRN with `mscale_all_dim` multiplies DeepSeek's attention scores by."""
        all_dim, factor = self.settings.get("mscale_all_dim"), self.settings.get("factor")
        return _mscale(factor, all_dim) ** 2 if self.kind == "yarn" and all_dim and factor else 1.0

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, dim/2] of positions [T], or [axes, T] where the rotation has several axes.

        Raises:
            NotImplementedByWeightscope: a scaling that is not implemented, by name; positions beyond `limit`.
        """
        import torch

        if self.limit is not None and int(positions.max()) >= self.limit:
            raise NotImplementedByWeightscope(f"positions from {self.limit:,} on are not implemented: {self.beyond}")
        frequencies, factor = self._frequencies(int(positions.max()) + 1)
        angles = positions.to(torch.float32)[..., None] * frequencies.to(positions.device)
        if positions.ndim > 1:
            axes = self._axes(len(frequencies), len(positions)).to(positions.device)
            angles = angles.gather(0, axes.expand(1, *angles.shape[1:]))[0]
        return (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)

    def turn(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """X [heads, T, head_dim] with its first `dim` elements rotated."""
        import torch

        cos, sin = rotation
        half = cos.shape[-1]
        turned, rest = x[..., : 2 * half], (x[..., 2 * half :],) if x.shape[-1] > 2 * half else ()
        if self.interleaved:
            a, b = turned[..., 0::2], turned[..., 1::2]
        else:
            a, b = turned[..., :half], turned[..., half:]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, *rest), dim=-1)

    @property
    def words(self) -> str:
        """What the rotation is, for people."""
        scaled = "" if self.kind == "default" else f", {self.kind}"
        factor = self.settings.get("factor")
        by = f" × {factor:g}" if scaled and isinstance(factor, int | float) else ""
        pairs = "neighbours" if self.interleaved else "halves"
        return f"rope turns {self.dim} elements of a head in {pairs} by position, theta {self.theta:g}{scaled}{by}"

    def _axes(self, pairs: int, axes: int) -> torch.Tensor:
        """Which axis each pair turns by, [dim/2]."""
        import torch

        if sum(self.sections) != pairs or len(self.sections) != axes:
            raise NotImplementedByWeightscope(
                f"positions of {axes} axes need an mrope_section that says who turns by them"
            )
        if not self.alternating:
            return torch.repeat_interleave(torch.arange(axes), torch.tensor(self.sections))
        turns = torch.zeros(pairs, dtype=torch.long)
        for axis in range(1, axes):
            turns[axis : self.sections[axis] * axes : axes] = axis
        return turns

    def _frequencies(self, length: int) -> tuple[torch.Tensor, float]:
        """Inverse frequencies [dim/2] for a sequence of that length, and what the rotated vectors are multiplied by."""
        try:
            return self._scaled(length)
        except (KeyError, TypeError) as error:
            raise NotImplementedByWeightscope(
                f"the rope scaling {self.kind!r} is not implemented without {error}"
            ) from None
        except ZeroDivisionError:
            raise NotImplementedByWeightscope(
                f"the rope scaling {self.kind!r} is not implemented for {self.dim} elements of a head"
            ) from None

    def _scaled(self, length: int) -> tuple[torch.Tensor, float]:
        import torch

        exponents = torch.arange(0, self.dim, 2, dtype=torch.float32) / self.dim
        if self.kind in ("dynamic", "ntk_alpha"):
            theta = self._dynamic(length) if self.kind == "dynamic" else self._stretched(self.settings["alpha"])
            return 1.0 / theta**exponents, 1.0
        plain = 1.0 / self.theta**exponents
        slowed = {
            "default": lambda waves: waves,
            "linear": lambda waves: waves / self.settings["factor"],
            "llama3": self._llama3,
            "proportional": self._proportional,
        }
        if self.kind in slowed:
            return slowed[self.kind](plain), 1.0
        if self.kind == "yarn":
            return self._yarn(plain)
        if self.kind == "longrope":
            return self._longrope(plain, length)
        raise NotImplementedByWeightscope(f"the rope scaling {self.kind!r} is not implemented")

    def _dynamic(self, length: int) -> float:
        """Dynamic NTK: theta grows once a sequence is longer than the context (transformers' `dynamic`)."""
        factor, context = self.settings["factor"], self.context
        if context is None:
            raise KeyError("max_position_embeddings")
        longer = max(length, context) / context
        return self._stretched(factor * longer - (factor - 1))

    def _stretched(self, by: float) -> float:
        """The theta that stretches the longest wave by a factor (NTK-aware scaling; Hunyuan's fixed `alpha`)."""
        return float(self.theta * by ** (self.dim / (self.dim - 2)))

    def _proportional(self, plain: torch.Tensor) -> torch.Tensor:
        """Gemma 4: only a share of the waves moves, the fastest."""
        import torch

        moving = int(self.settings["partial_rotary_factor"] * self.dim // 2)
        still = torch.zeros_like(plain[moving:])
        return torch.cat((plain[:moving], still)) / float(self.settings.get("factor", 1.0))

    def _trained(self) -> int:
        """The context before extension; a class that keeps it beside the scaling prefers that."""
        trained = self.trained or self.settings.get("original_max_position_embeddings") or self.context
        if not trained:
            raise KeyError("original_max_position_embeddings")
        return int(trained)

    def _longrope(self, plain: torch.Tensor, length: int) -> tuple[torch.Tensor, float]:
        """LongRoPE (arXiv 2402.13753): a divisor for each frequency, one set for short and one for long sequences."""
        import torch

        trained = self._trained()
        divisors = self.settings["long_factor" if length > trained else "short_factor"]
        if len(divisors) != len(plain):
            raise NotImplementedByWeightscope(f"longrope with {len(divisors)} factors does not fit {len(plain)} pairs")
        factor, attention = self.settings.get("factor"), self.settings.get("attention_factor")
        # Phi-3.5-MoE says both itself.
        attention = self.settings.get("long_mscale" if length > trained else "short_mscale", attention)
        if factor is None:
            factor = (self.context or trained) / trained
        if attention is None:
            attention = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
        return plain / torch.tensor(divisors, dtype=torch.float32), float(attention)

    def _llama3(self, plain: torch.Tensor) -> torch.Tensor:
        """Llama 3.1: long waves are slowed by `factor`, short ones kept, those between blended."""
        import torch

        settings = self.settings
        factor, low, high = settings["factor"], settings["low_freq_factor"], settings["high_freq_factor"]
        rotations = self._trained() * plain / (2 * torch.pi)
        kept = ((rotations - low) / (high - low)).clamp(0, 1)
        blended: torch.Tensor = plain / factor * (1 - kept) + plain * kept
        return blended

    def _yarn(self, plain: torch.Tensor) -> tuple[torch.Tensor, float]:
        """YaRN (arXiv 2309.00071), with DeepSeek's `mscale`."""
        import torch

        settings = self.settings
        factor, context = settings["factor"], self._trained()

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


def _settings(config: Config, layers: str | None) -> Mapping[str, Any]:
    if layers is None:
        return _object(config, "rope_scaling") or _object(config, "rope_parameters") or {}
    value = (_object(config, "rope_parameters") or {}).get(layers)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"the {layers} of 'rope_parameters' is {value!r:.60}, not an object")
    scaling = _object(config, "rope_scaling") if layers == "full_attention" else None
    return (value or {}) | (scaling or {})


def _object(config: Config, key: str) -> dict[str, Any] | None:
    value = config.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value


def _mscale(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0
