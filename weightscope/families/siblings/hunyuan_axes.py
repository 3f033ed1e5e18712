"""The rotation of Hunyuan-VL's language model, by the config's own names. Source: `HunYuanVLTextConfig`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from weightscope.components.attention.axes import HalvedRope
from weightscope.components.attention.softmax import Attention
from weightscope.components.decoder import CausalLM
from weightscope.components.walk import find
from weightscope.config import Config
from weightscope.families.common import Dims, rotary

SECTIONS, EARLIER = "mrope_section", "xdrope_section"


def axes_rope(config: Config, s: Dims) -> HalvedRope:
    """Sections under either name. The scaling has two names, and with an `alpha` it is a fixed one.

    Raises:
        ConfigError: both names are there with other numbers, or the sections do not make half a head.
    """
    settings: dict[str, Any] = dict(config["rope_scaling"] or config["rope_parameters"] or {})
    earlier = settings.pop(EARLIER, None)
    said = settings.get(SECTIONS)
    said = earlier if said is None else said
    if earlier is not None and said != earlier:
        raise config.error(f"{SECTIONS} is {said!r:.60} and {EARLIER} {earlier!r:.60}, which differ")
    if said is not None:
        settings[SECTIONS] = _whole(config, said, int(s.head_dim) // 2)
    kind = "ntk_alpha" if settings.get("alpha") else "dynamic"
    rope = rotary(config, s.head_dim, settings=settings, named={"dynamic": kind, "xdrope": kind}, steps="converted")
    return HalvedRope(**asdict(rope))


def axes_of(model: CausalLM) -> int:
    """How many axes the positions of a model's tokens have; 0 where its rotation has no sections."""
    attention = next(find(model, Attention), None)
    return len(attention.positions.sections) if attention and isinstance(attention.positions, HalvedRope) else 0


def _whole(config: Config, said: object, total: int) -> list[int]:
    """Sections as whole numbers; 16.0 is one.

    Raises:
        ConfigError: they are none, or their sum is another.
    """
    listed = said if isinstance(said, list) else []
    whole = [int(number) for number in listed if type(number) in (int, float) and number == int(number)]
    if not whole or len(whole) != len(listed) or min(whole) < 0 or sum(whole) != total:
        raise config.error(f"{SECTIONS} is {said!r:.60}, not whole numbers that sum to half of a head, {total:,}")
    return whole
