"""The settings of adapters that PEFT did not write: mlx-lm's adapter_config.json, metadata of diffusers and kohya."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from weightscope.adapters.common import values
from weightscope.adapters.common.patterns import Targets
from weightscope.adapters.common.settings import LORA, Library, Settings
from weightscope.config import Config

MOST_DIGITS = 9


def is_mlx(config: Config) -> bool:
    """Whether a file is mlx-lm's: it has other keys than PEFT's."""
    return "peft_type" not in config.data and ("lora_parameters" in config.data or "fine_tune_type" in config.data)


def mlx_settings(config: Config) -> Settings:
    """From mlx-lm's adapter_config.json.

    Raises:
        ConfigError: a key has a value that it cannot have.
    """
    method = values.text(config, "fine_tune_type", LORA).lower()
    has_more = config.data.get("lora_parameters") is not None
    inner = config.nested("lora_parameters") if has_more else Config({}, source=config.source)
    return Settings(
        library="mlx",
        source=config.source,
        method=LORA if method == "dora" else method,
        base=values.text(config, "model"),
        rank=values.whole(inner, "rank"),
        scale=values.number(inner, "scale"),
        dora=method == "dora",
        targets=Targets(names=values.words(inner, "keys")),
    )


def metadata_settings(library: Library, metadata: Mapping[str, str]) -> Settings:
    """From what the header of a safetensors file says beside the tensors (kohya's scripts write it)."""
    rank = metadata.get("ss_network_dim", "")
    return Settings(
        library=library,
        base=metadata.get("ss_sd_model_name", "")[:200],
        rank=int(rank) if rank.isascii() and rank.isdecimal() and 0 < len(rank) <= MOST_DIGITS else None,
        alpha=_number(metadata.get("ss_network_alpha", "")),
    )


def _number(text: str) -> float | None:
    try:
        number = float(text[:40])
    except ValueError:
        return None
    return number if isfinite(number) else None
