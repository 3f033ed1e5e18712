"""Frequencies of a rotary embedding, and the published extensions of its context.

Names and numbers are those of transformers' `rope_parameters` (`modeling_rope_utils`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.errors import NotImplementedByWeightscope

if TYPE_CHECKING:
    import torch


class Scaling(msgspec.Struct, frozen=True, kw_only=True):
    """How frequencies are changed: default, linear, dynamic, ntk_alpha, llama3, proportional, yarn or longrope.

    `settings` are the scaling's own numbers under their config names. `context` is the config's
    `max_position_embeddings`, `trained` its `original_max_position_embeddings`.
    """

    kind: str = "default"
    settings: tuple[tuple[str, Any], ...] = ()
    context: int | None = None
    trained: int | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """A number of the scaling's own, or the default where it is absent or null."""
        value = dict(self.settings).get(name)
        return default if value is None else value

    @property
    def score_scale(self) -> float:
        """What YaRN with `mscale_all_dim` multiplies DeepSeek's attention scores by."""
        all_dim, factor = self.get("mscale_all_dim"), self.get("factor")
        return _mscale(factor, all_dim) ** 2 if self.kind == "yarn" and all_dim and factor else 1.0

    @property
    def words(self) -> str:
        """The kind and its factor, for people; empty for none."""
        factor = self.get("factor")
        by = f" × {factor:g}" if isinstance(factor, int | float) else ""
        return "" if self.kind == "default" else f"{self.kind}{by}"

    def frequencies(self, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
        """Angles a position [dim/2] for a sequence of that length, and what the rotated vectors are multiplied by.

        Raises:
            NotImplementedByWeightscope: a kind that is not implemented, or one that lacks a number it needs, by name.
        """
        scale = KINDS.get(self.kind)
        if scale is None:
            raise NotImplementedByWeightscope(f"the rope scaling {self.kind!r} is not implemented")
        try:
            return scale(self, dim, theta, length)
        except (KeyError, TypeError) as error:
            raise NotImplementedByWeightscope(
                f"the rope scaling {self.kind!r} is not implemented without {error}"
            ) from None
        except (ZeroDivisionError, ValueError, OverflowError):
            raise NotImplementedByWeightscope(
                f"the rope scaling {self.kind!r} is not implemented for {dim} elements of a head with these numbers"
            ) from None

    def needed(self, name: str) -> Any:
        """A number that the kind can't do without.

        Raises:
            KeyError: it is absent.
        """
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    @property
    def before(self) -> int:
        """The context before extension; a class that keeps it beside the scaling prefers that."""
        trained = self.trained or self.get("original_max_position_embeddings") or self.context
        if not trained:
            raise KeyError("original_max_position_embeddings")
        return int(trained)


def _plain(dim: int, theta: float) -> torch.Tensor:
    import torch

    return 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)


def _default(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    return _plain(dim, theta), 1.0


def _linear(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """Positions are divided by `factor` (Chen et al. 2023, arXiv 2306.15595)."""
    return _plain(dim, theta) / scaling.needed("factor"), 1.0


def _dynamic(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """Dynamic NTK: theta grows once a sequence is longer than the context."""
    factor, context = scaling.needed("factor"), scaling.context
    if context is None:
        raise KeyError("max_position_embeddings")
    longer = max(length, context) / context
    return _plain(dim, _stretched(dim, theta, factor * longer - (factor - 1))), 1.0


def _ntk_alpha(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """NTK-aware scaling with Hunyuan's fixed `alpha`."""
    return _plain(dim, _stretched(dim, theta, scaling.needed("alpha"))), 1.0


def _stretched(dim: int, theta: float, by: float) -> float:
    """The theta that stretches the longest wave by a factor."""
    return float(theta * by ** (dim / (dim - 2)))


def _proportional(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """Gemma 4: only a share of the waves moves, the fastest."""
    import torch

    plain, moving = _plain(dim, theta), int(scaling.needed("partial_rotary_factor") * dim // 2)
    still = torch.zeros_like(plain[moving:])
    return torch.cat((plain[:moving], still)) / float(scaling.get("factor", 1.0)), 1.0


def _longrope(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """LongRoPE (arXiv 2402.13753): a divisor for each frequency, one set for short and one for long sequences."""
    import torch

    plain, trained = _plain(dim, theta), scaling.before
    long = length > trained
    divisors = scaling.needed("long_factor" if long else "short_factor")
    if len(divisors) != len(plain):
        raise NotImplementedByWeightscope(f"longrope with {len(divisors)} factors does not fit {len(plain)} pairs")
    # Phi-3.5-MoE says itself what the rotated vectors are multiplied by.
    attention = scaling.get("long_mscale" if long else "short_mscale", scaling.get("attention_factor"))
    if attention is None:
        factor = scaling.get("factor", (scaling.context or trained) / trained)
        attention = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    return plain / torch.tensor(divisors, dtype=torch.float32), float(attention)


def _llama3(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """Llama 3.1: long waves are slowed by `factor`, short ones kept, those between blended."""
    import torch

    plain, factor = _plain(dim, theta), scaling.needed("factor")
    low, high = scaling.needed("low_freq_factor"), scaling.needed("high_freq_factor")
    rotations = scaling.before * plain / (2 * torch.pi)
    kept = ((rotations - low) / (high - low)).clamp(0, 1)
    return plain / factor * (1 - kept) + plain * kept, 1.0


def _yarn(scaling: Scaling, dim: int, theta: float, length: int) -> tuple[torch.Tensor, float]:
    """YaRN (arXiv 2309.00071), with DeepSeek's `mscale`."""
    import torch

    plain, factor, context = _plain(dim, theta), scaling.needed("factor"), scaling.before

    def place(rotations: float) -> float:
        return dim * math.log(context / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = place(scaling.get("beta_fast") or 32), place(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    ramp = (torch.arange(len(plain), dtype=torch.float32) - low) / (high - low if high != low else 0.001)
    slowed = ramp.clamp(0, 1)
    attention = scaling.get("attention_factor")
    if attention is None:
        mscale, all_dim = scaling.get("mscale"), scaling.get("mscale_all_dim")
        attention = _mscale(factor, mscale) / _mscale(factor, all_dim) if mscale and all_dim else _mscale(factor, 1)
    return plain / factor * slowed + plain * (1 - slowed), float(attention)


def _mscale(factor: float, weight: float) -> float:
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


KINDS: dict[str, Callable[[Scaling, int, float, int], tuple[torch.Tensor, float]]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "ntk_alpha": _ntk_alpha,
    "proportional": _proportional,
    "longrope": _longrope,
    "llama3": _llama3,
    "yarn": _yarn,
}
