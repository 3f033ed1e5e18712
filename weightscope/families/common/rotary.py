"""A rotation as configs say it: `rope_theta` and `rope_scaling`, or the `rope_parameters` of transformers 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightscope.components.attention.frequencies import Scaling
from weightscope.components.attention.positions import Steps
from weightscope.components.attention.rope import Rope
from weightscope.config import Config
from weightscope.families.common.layer_types import FULL, SLIDING


def rotary(
    config: Config,
    head_dim: int,
    *,
    interleaved: bool = False,
    backwards: bool = False,
    layers: str | None = None,
    theta: float | None = None,
    named: Mapping[str, str] | None = None,
    sections: tuple[int, ...] = (),
    alternating: bool = False,
    limit: int | None = None,
    beyond: str = "",
    settings: Mapping[str, Any] | None = None,
    steps: Steps = "plain",
) -> Rope:
    """The rotation of heads of `head_dim` elements; of the keys below only those are read that the family declares.

    Theta is `rope_theta` or `rotary_emb_base`; the share of a head that turns is `partial_rotary_factor`, `rotary_pct`
    or `rope_pct`; some scalings go by `max_position_embeddings` and `original_max_position_embeddings`. `layers` is a
    kind of layer where each has its own rotation: `rope_parameters` holds one for each; of the older keys
    `rope_local_base_freq` is the theta of sliding_attention, and `rope_scaling` is full_attention's (Gemma 3).
    `theta` counts where `rope_parameters` has none; `sections` and `alternating` where no `mrope_section` and
    `mrope_interleaved` say how the pairs turn by three axes. `named` are a family's own names of published scalings;
    `backwards`, `limit`, `beyond` and `steps` are the rotation's. `settings` are what `rope_parameters`
    holds, where the family finds them itself.

    Raises:
        ConfigError: a number that no rotation has.
    """
    settings = _settings(config, layers) if settings is None else dict(settings)
    theta = _first(settings.pop("rope_theta", None), theta, _theta(config, layers))
    kind = _first(settings.pop("rope_type", None), settings.get("type"), "default")
    settings.pop("type", None)
    kind = (NAMES | dict(named or {})).get(kind, kind) if isinstance(kind, str) else repr(kind)
    share = settings.pop("partial_rotary_factor", None)
    own = next((key for key in ("partial_rotary_factor", "rotary_pct", "rope_pct") if config.declares(key)), None)
    # A class without the key ignores it, but for the scalings that all classes share; Hunyuan's is its own.
    if own is None and kind in ("default", "ntk_alpha"):
        share = None
    share = _first(share, config[own] if own else None, 1.0)
    for key, value, most in (("rope_theta", theta, 1e300), ("partial_rotary_factor", share, 1)):
        if not isinstance(value, float | int) or not 0 <= value <= most:
            raise config.error(f"{key!r} is {value!r:.60}, which no rotary embedding has")
    if kind == "proportional":
        # All of the head turns, but for the slowest waves, which stand still.
        settings["partial_rotary_factor"], share = share, 1.0
    said, turns = settings.pop("mrope_section", None), settings.pop("mrope_interleaved", alternating)
    return Rope(
        dim=int(head_dim * share),
        theta=float(theta),
        scaling=Scaling(
            kind=kind,
            settings=_numbers(config, settings),
            context=_declared(config, "max_position_embeddings"),
            trained=_declared(config, "original_max_position_embeddings") if layers is None else None,
        ),
        interleaved=interleaved,
        backwards=backwards,
        sections=_sections(config, said) or sections,
        alternating=bool(turns),
        limit=limit,
        beyond=beyond,
        steps=steps,
    )


# Phi-3 called LongRoPE "su" after its author before the paper's name was known; "mrope" is Qwen2-VL's first name for
# its plain rotation by three axes.
NAMES = {"su": "longrope", "mrope": "default"}


def _theta(config: Config, layers: str | None) -> Any:
    local = layers == SLIDING and config.declares("rope_local_base_freq")
    key = "rope_local_base_freq" if local else "rope_theta"
    return _first(*(config[name] for name in (key, "rotary_emb_base") if config.declares(name)), 10000.0)


def _settings(config: Config, layers: str | None) -> dict[str, Any]:
    whole = _declared(config, "rope_parameters") or {}
    if layers is None:
        return dict(_declared(config, "rope_scaling") or whole)
    own = whole.get(layers) or {}
    if not isinstance(own, dict):
        raise config.error(f"the {layers} of 'rope_parameters' is {own!r:.60}, not an object")
    scaling = (_declared(config, "rope_scaling") or {}) if layers == FULL else {}
    # The classes update a default rotation, so that an older `type` beside it is not read.
    return {"rope_type": own.get("type", "default")} | own | scaling


def _declared(config: Config, key: str) -> Any:
    return config[key] if config.declares(key) else None


def _first(*values: Any) -> Any:
    """The first that is not null."""
    return next((value for value in values if value is not None), None)


def _numbers(config: Config, settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The scaling's own settings, lists as tuples.

    Raises:
        ConfigError: one that is neither a number, a word nor a list of numbers.
    """
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if value is None or isinstance(value, dict):
            continue
        listed = tuple(value) if isinstance(value, list) else value
        if isinstance(listed, tuple) and not all(isinstance(number, int | float) for number in listed):
            raise config.error(f"{key!r} of the rope scaling is {value!r:.60}, not a list of numbers")
        found.append((key, listed))
    return tuple(found)


def _sections(config: Config, value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(type(number) is int and number >= 0 for number in value):
        raise config.error(f"'mrope_section' is {value!r:.60}, not a list of whole numbers")
    return tuple(value)
