"""Sines and cosines as positions, counted from the padding token's number on."""

from __future__ import annotations

from weightscope.components.sinusoids import Sinusoids
from weightscope.config import Config
from weightscope.sizes import Size


def sinusoids(config: Config, rows: Size) -> Sinusoids:
    """Sines and cosines; a file may have the first `rows` of them, and two rows before those.

    Raises:
        ConfigError: vectors of so few numbers have no room for two waves.
        UndeclaredError: there is no padding token.
    """
    width, padding = config["hidden_size"], config["pad_token_id"]
    if width < 4:
        raise config.error(f"{width.text} {width:,} has no room for two waves")
    if padding is None:
        raise config.undeclared("positions without a pad_token_id are not declared")
    return Sinusoids(name="embed_positions", rows=rows + 2, width=width, offset=padding + 1)
