"""What a vision-language model's config says of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from weightscope.config import Config


def feature_layers(config: Config, depth: int) -> tuple[int, ...]:
    """The vision encoder's layers whose outputs are used: 0 for what enters the first, -1 for what leaves the last.

    Raises:
        ConfigError: the encoder has no such layer, or none is named.
    """
    said = config["vision_feature_layer"]
    layers = said if isinstance(said, list | tuple) else [said]
    if not layers or not all(isinstance(layer, int) and not isinstance(layer, bool) for layer in layers):
        raise config.error(f"vision_feature_layer is {said!r:.60}, not a layer's number or a list of them")
    for layer in layers:
        if not -depth - 1 <= layer <= depth:
            raise config.error(
                f"vision_feature_layer is {layer}, but the vision encoder's num_hidden_layers is {depth:,}"
            )
    return tuple(map(int, layers))


def feature_layer(config: Config, depth: int) -> tuple[int, ...]:
    """The same where there is only one.

    Raises:
        UndeclaredError: there are several.
        ConfigError: the encoder has no such layer, or none is named.
    """
    layers = feature_layers(config, depth)
    if len(layers) > 1:
        raise config.undeclared("a vision_feature_layer of several layers is not declared")
    return layers


def text_config(config: Config) -> Config:
    """The language model's config with what the whole decides: tying, and whether there is a head at all."""
    text = config.nested("text_config")
    tied = bool(config["tie_word_embeddings"]) or text.data.get("tie_word_embeddings")
    decided = {"architectures": config["architectures"]} | ({} if tied is None else {"tie_word_embeddings": tied})
    return replaced(text, **decided)


def decided_text_config(config: Config) -> Config:
    """The same where the whole alone decides on tying, whatever the part says."""
    text = config.nested("text_config")
    decided = {"architectures": config["architectures"], "tie_word_embeddings": bool(config["tie_word_embeddings"])}
    # LFM2's other name of the key would win over it.
    text = replaced(text, tie_embedding=decided["tie_word_embeddings"]) if "tie_embedding" in text.data else text
    return replaced(text, **decided)


def decided_text(config: Config, *, tied: bool, **decided: Any) -> Config:
    """The language model's config where the whole decides on tying, whatever the part says, and on these keys."""
    own = {"architectures": config["architectures"], "tie_word_embeddings": tied}
    return replaced(config.nested("text_config"), **(own | decided))


def replaced(config: Config, **values: Any) -> Config:
    """The same config with other values of some keys."""
    return Config({**config.data, **values}, source=config.source, prefix=config.prefix, read=config.read)


def part(
    config: Config, key: str, defaults: Mapping[str, Any], attribute_map: Mapping[str, str] = MappingProxyType({})
) -> Config:
    """A part's config under its class's defaults, which are all there is where it is absent or null."""
    if config.data.get(key) is not None:
        return config.nested(key).with_defaults(defaults, attribute_map)
    empty = Config({}, source=config.source, prefix=f"{key}.", read=config.read)
    return empty.with_defaults(defaults, attribute_map)
