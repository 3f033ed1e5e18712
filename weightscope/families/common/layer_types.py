"""Which kind each layer is, as configs say it, and what its tokens see."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from weightscope.components.attention.sees import CAUSAL, EVERYTHING, Around, Sees, Window
from weightscope.config import Config
from weightscope.families.common.dims import depth_of

SLIDING, FULL = "sliding_attention", "full_attention"
# Ends of the names of LLM2Vec's classes (arXiv 2404.05961): LlamaEncoderModel, MistralBiModel, ...
BOTH_WAYS = ("EncoderModel", "BiModel")
WINDOWS = {SLIDING: SLIDING, FULL: FULL}
# What follows attention, under the key `mlp_layer_types`.
SPARSE, DENSE = "sparse", "dense"
MIXTURES = {SPARSE: SPARSE, DENSE: DENSE}
# Of hybrids: the kinds under the names that transformers 5 and earlier releases give them.
LINEAR = "linear_attention"
MIXERS = {LINEAR: LINEAR, FULL: FULL}
# Names of earlier releases, which transformers replaces in the `layer_types` of any class.
EARLIER = {"mamba": LINEAR, "attention": FULL}


def layer_types(
    config: Config,
    default: Callable[[int], str],
    *,
    key: str = "layer_types",
    known: Mapping[str, str] = WINDOWS,
    last: str | None = None,
) -> list[str]:
    """The kind of each layer: what the list under `key` says, or where it is absent what `default` says of its number.

    `known` are the kinds under every name that configs have for them; `last` is the last layer's, whatever they say.

    Raises:
        ConfigError: the list is of another length than the model is deep.
        UndeclaredError: a kind of layer that is not known, by name.
    """
    depth, listed = depth_of(config), config[key]
    if listed is None:
        listed = [default(number) for number in range(depth)]
    if not isinstance(listed, list) or len(listed) != depth:
        raise config.error(f"{key} does not name {depth:,} layers, as num_hidden_layers says")
    kinds = [EARLIER.get(kind, kind) if isinstance(kind, str) else kind for kind in listed]
    if last is not None:
        kinds[-1:] = [last for _ in kinds[-1:]]
    for kind in kinds:
        if not isinstance(kind, str) or kind not in known:
            raise config.undeclared(f"layers of the kind {kind!r:.60} are not declared")
    return [known[kind] for kind in kinds]


def upper_windows(config: Config) -> list[int | None]:
    """Qwen's window of each layer: with `use_sliding_window`, those from `max_window_layers` up have one."""
    window = config["sliding_window"] if config["use_sliding_window"] else None
    first = config["max_window_layers"] or 0
    kinds = layer_types(config, lambda i: FULL if window is None or i < first else SLIDING)
    return [window if kind == SLIDING else None for kind in kinds]


def window_pattern(config: Config) -> list[str]:
    """EXAONE's kind of each layer: `sliding_window_pattern` is how often one sees everything, or a letter for each.

    The letters, L for a window and G for none, are used again and again.

    Raises:
        ConfigError: it is neither a number nor such letters.
    """
    said = config["sliding_window_pattern"]
    if isinstance(said, str) and said and set(said) <= {"L", "G"}:
        return layer_types(config, lambda i: SLIDING if said[i % len(said)] == "L" else FULL)
    if said is not None and not isinstance(said, int):
        raise config.error(f"'sliding_window_pattern' is {said!r:.60}, neither a number nor letters L and G")
    every = int(said or 0)
    return layer_types(config, lambda i: SLIDING if every > 0 and (i + 1) % every else FULL)


def rotating(config: Config) -> list[bool]:
    """Which layers rotate: those of `no_rope_layers` that are 1, or all but each `no_rope_layer_interval`-th.

    Raises:
        ConfigError: the list is shorter than the model is deep.
    """
    depth, flags, every = depth_of(config), config["no_rope_layers"], config["no_rope_layer_interval"]
    if flags and len(flags) < depth:
        raise config.error(f"no_rope_layers names {len(flags):,} of {depth:,} layers")
    return [bool(flag) for flag in flags] if flags else [(i + 1) % every != 0 for i in range(depth)]


def visible(config: Config, window: int | None = None) -> Sees:
    """What a token sees: itself and all before it, within a window of so many positions if there is one.

    Embedding models made of decoders see later ones too, and then count a window on both sides: with
    `is_causal: false`, which transformers' masks obey of any class, or where the model's own code is LLM2Vec's.
    """
    if config.declares("is_causal") and (config["is_causal"] is False or config.own_class.endswith(BOTH_WAYS)):
        return EVERYTHING if window is None else Around(int(window))
    return CAUSAL if window is None else Window(int(window))
