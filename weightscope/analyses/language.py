"""The language model inside a model that no family declares, where its own type is declared."""

from __future__ import annotations

from collections.abc import Collection

from weightscope.analyses.prefixes import place_of
from weightscope.config import LANGUAGE, Config
from weightscope.errors import ConfigError
from weightscope.families.declaration import Declaration, declare, declare_part


def language_part(config: Config, names: Collection[str]) -> Declaration | None:
    """The declaration of the language model under the names that it has there; None where none fits."""
    key = next((key for key in LANGUAGE if isinstance(config.data.get(key), dict)), None)
    if key is None:
        return None
    try:
        part = _config(config, key)
        usual = declare(part)
        if usual is None:
            return None
        place = place_of(usual.slots, names)
        if place is None:
            return None
        root, prefix = (None, place.found) if not place.expected else (place.found, "")
        declaration = declare_part(part, root.rstrip(".") if root else None, prefix.rstrip("."))
    except (ConfigError, KeyError):
        return None
    if declaration is None:
        return None
    required = [slot for slot in declaration.slots if not slot.stored.optional]
    fitting = sum(slot.first_name() in names for slot in required)
    return declaration if 2 * fitting > len(required) else None


def _config(config: Config, key: str) -> Config:
    """The part's own keys, with what the whole decides: whether the head is tied, how the weights are quantized."""
    part = config.nested(key)
    data = dict(part.data)
    for name in ("tie_word_embeddings", "quantization_config", "quantization"):
        if name in config.data:
            data.setdefault(name, config.data[name])
    return Config(data, source=part.source, prefix=part.prefix, read=part.read)
