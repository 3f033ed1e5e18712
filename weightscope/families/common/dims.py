"""The sizes that nearly every decoder has, read from its config once."""

from __future__ import annotations

import msgspec

from weightscope.components.attention.heads import Heads
from weightscope.config import Config
from weightscope.sizes import Size

# More layers than any model has: a config beyond it is refused before anything is listed by layer.
MAX_LAYERS = 10_000


class Dims(msgspec.Struct, frozen=True, kw_only=True):
    """Width of the residual stream, number of layers, heads; what is as wide as all heads together."""

    width: Size
    depth: Size
    heads: Heads

    @classmethod
    def of(cls, config: Config, *, even: bool = False) -> Dims:
        """From the usual keys; `num_key_value_heads` and `head_dim` are read where the family declares them.

        Absent or null, there are as many keys as queries, and the heads share the width; `even` is that of `Heads`.

        Raises:
            ConfigError: more layers than any model has.
        """
        width, count = config["hidden_size"], config["num_attention_heads"]
        keys = config["num_key_value_heads"] if config.declares("num_key_value_heads") else None
        size = config["head_dim"] if config.declares("head_dim") else None
        size = width // count if size is None else size
        heads = Heads(count=count, keys=count if keys is None else keys, size=size, even=even)
        return cls(width=width, depth=depth_of(config), heads=heads)

    @property
    def head_dim(self) -> Size:
        """Elements of one head."""
        return self.heads.size

    @property
    def queries(self) -> Size:
        """Elements of all heads' queries together."""
        return self.heads.count * self.heads.size

    @property
    def keys(self) -> Size:
        """Elements of all heads' keys together."""
        return self.heads.keys * self.heads.size


def depth_of(config: Config, key: str = "num_hidden_layers") -> Size:
    """The number of layers, before anything is listed by them.

    Raises:
        ConfigError: a number beyond reason.
    """
    depth: Size = config[key]
    if depth > MAX_LAYERS:
        raise config.error(f"{key} is {depth:,}, and no model has so many", "correct the config")
    return depth
