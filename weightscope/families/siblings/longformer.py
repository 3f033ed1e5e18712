"""Longformer's projections and windows."""

from __future__ import annotations

from weightscope.config import Config
from weightscope.families.common.dims import depth_of
from weightscope.families.siblings.bert import PROJECTIONS as BERTS
from weightscope.roles import Role

PROJECTIONS = BERTS | {
    "self.query_global": Role.GLOBAL_Q_PROJ,
    "self.key_global": Role.GLOBAL_K_PROJ,
    "self.value_global": Role.GLOBAL_V_PROJ,
}


def windows(config: Config) -> list[int]:
    """How far each layer's tokens see on either side: half of `attention_window`, one for all layers or a list.

    Raises:
        ConfigError: it is neither, or one is not even.
    """
    said, depth = config["attention_window"], depth_of(config)
    listed = said if isinstance(said, list) else [said] * depth
    if len(listed) != depth:
        raise config.error(f"'attention_window' has {len(listed):,} windows for {depth:,} layers")
    for window in listed:
        if not isinstance(window, int) or isinstance(window, bool) or window <= 0 or window % 2:
            raise config.error(f"'attention_window' has {window!r:.60}, and each must be an even number above 0")
    return [int(window) // 2 for window in listed]
