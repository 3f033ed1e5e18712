"""What configs say of vision towers whose heads turn by row and column."""

from __future__ import annotations

from weightscope.config import Config
from weightscope.families.common.dims import Dims


def axial_theta(config: Config, s: Dims) -> float:
    """The base of a rotation by two axes: `rope_theta` of `rope_parameters`, or above it.

    Raises:
        ConfigError: heads that two axes cannot turn; a base that no rotation has.
    """
    if s.head_dim % 4 or s.width % s.heads.count:
        raise config.error(
            f"{s.width.text} {s.width:,} must be a multiple of 4 · {s.heads.count.text} ({s.heads.count:,})"
        )
    return vision_theta(config)


def vision_theta(config: Config) -> float:
    """The base of a tower's rotation: `rope_theta` of `rope_parameters`, or above it.

    Raises:
        ConfigError: a base that no rotation has.
    """
    said = (config["rope_parameters"] or {}).get("rope_theta")
    theta = next((value for value in (said, config["rope_theta"]) if value is not None), 10000.0)
    if isinstance(theta, bool) or not isinstance(theta, int | float) or not 0 < theta < 1e300:
        raise config.error(f"'rope_theta' is {theta!r:.60}, which no rotary embedding has")
    return float(theta)
