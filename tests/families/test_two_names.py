"""A config that gives one setting under two names: which one counts, held against transformers' own class."""

from __future__ import annotations

from typing import Any

from transformers import CONFIG_MAPPING, PretrainedConfig

from weightscope.config import Config, Nullable
from weightscope.families.registry import all_families

# Names that only the published code has; where a config has both, that code reads these and transformers the others.
PUBLISHED = {
    ("mimo_v2_flash", "layernorm_epsilon"),
    ("kimi_k25", "media_placeholder_token_id"),
    *(("nomic_bert", n) for n in ("n_embd", "n_layer", "n_head", "n_inner", "n_positions", "layer_norm_epsilon")),
}
# Neither name is a field of the class: the last in the file counts.
NO_FIELD = {("zamba2", "head_dim")}
# Two values that sizes go together with, for each type of default.
VALUES: dict[type, tuple[Any, Any]] = {int: (64, 256), float: (0.25, 0.5), str: ("gelu", "relu"), bool: (False, True)}
PAIRS = [
    (model_type, other, own)
    for model_type, family in all_families().items()
    if model_type in CONFIG_MAPPING
    for other, own in family.attribute_map.items()
    if (model_type, other) not in PUBLISHED | NO_FIELD
]


def test_the_name_that_counts_is_the_one_that_the_class_takes() -> None:
    held = 0
    for model_type, other, own in PAIRS:
        family, known = all_families()[model_type], CONFIG_MAPPING[model_type]
        default = family.defaults[own]
        kind = default.kind if isinstance(default, Nullable) else type(default)
        first, second = VALUES.get(kind, (None, None))
        if first is None:
            continue
        given = {own: first, other: second}
        config = Config(given, defaults=family.defaults, attribute_map=family.attribute_map)
        if (taken := _taken(known, given, own)) is not None:
            assert config[own] == taken, (model_type, given)
            held += 1
    assert held > 130


def _taken(known: type[PretrainedConfig], given: dict[str, Any], own: str) -> Any:
    """What the class says, or None where it refuses such values or has no such attribute."""
    try:
        return getattr(known(**given), own, None)
    except Exception:  # noqa: BLE001
        return None
