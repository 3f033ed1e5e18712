"""Every change of one key of a tiny model's config: of its class's keys, of other spellings, of keys of others."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import transformers

from tests.families.key_others import ELSEWHERE, OTHERS
from tests.families.key_values import Chain, chains
from tests.families.tiny import TINY, Tiny

PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"
HEADED = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


class Absent:
    """The key is left out."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = Absent()


class Change(msgspec.Struct, frozen=True):
    """One key of a tiny model's config set to the first value of a chain that transformers accepts.

    `base` is "saved", the config.json that transformers writes, or "sparse", what the tiny model states alone.
    """

    tiny: Tiny
    base: str
    path: tuple[str, ...]
    chain: Chain
    # own: a key of the class; spelling: of its attribute_map; other: of others; published: of a published config.
    kind: str = "own"
    # A key that goes, because another spelling of it comes.
    without: str = ""

    @property
    def key(self) -> str:
        """The key with those above it."""
        return ".".join(self.path)

    def config(self, value: Any) -> dict[str, Any]:
        """The changed config."""
        keys = copy.deepcopy(base_of(self.tiny, self.base))
        keys.pop(self.without, None)
        part = keys
        for step in self.path[:-1]:
            part = part[step]
        if value is ABSENT:
            part.pop(self.path[-1], None)
        else:
            part[self.path[-1]] = copy.deepcopy(value)
        return keys


def class_of(tiny: Tiny) -> Any:
    """The config class of a tiny model."""
    return getattr(transformers, f"{tiny.kind}Config")


@cache
def _bases(index: str, kind: str, keys: str) -> dict[str, dict[str, Any]]:
    config = getattr(transformers, f"{kind}Config")
    given = json.loads(keys)
    saved = json.loads(config(**json.loads(keys)).to_json_string(use_diff=False))
    saved.pop("transformers_version", None)
    return {"saved": saved, "sparse": given | {"model_type": config.model_type}}


def base_of(tiny: Tiny, base: str) -> dict[str, Any]:
    """The config of a tiny model as it is saved, or as it is stated."""
    return _bases(tiny.name, tiny.kind, json.dumps(tiny.keys))[base]


def changes(tiny: Tiny) -> Iterator[Change]:
    """Every change of one key, each once."""
    seen = set()
    for change in _changes(tiny):
        token = (change.base, change.path, change.without, json.dumps(change.chain, default=repr))
        if token not in seen:
            seen.add(token)
            yield change


def _changes(tiny: Tiny) -> Iterator[Change]:
    config = class_of(tiny)
    saved, sparse = base_of(tiny, "saved"), base_of(tiny, "sparse")
    for field in dataclasses.fields(config):
        yield from _of_field(tiny, "saved", (field.name,), field.type, saved.get(field.name))
    for field in dataclasses.fields(config):
        if field.name in sparse or not isinstance(saved.get(field.name), dict):
            yield from _of_field(tiny, "sparse", (field.name,), field.type, saved.get(field.name))
    yield from _spellings(tiny)
    yield from _published(tiny)
    yield from _of_others(tiny)


def _spellings(tiny: Tiny) -> Iterator[Change]:
    """Other names of the class's keys, beside the key and instead of it."""
    saved = base_of(tiny, "saved")
    for spelled, meant in class_of(tiny).attribute_map.items():
        if spelled in ELSEWHERE or meant not in saved:
            continue
        for chain in chains(meant, None, saved[meant]):
            yield Change(tiny, "saved", (spelled,), chain, "spelling")
        for base in ("saved", "sparse"):
            yield Change(tiny, base, (spelled,), (saved[meant],), "spelling", without=meant)


def _of_others(tiny: Tiny) -> Iterator[Change]:
    """Keys that the class does not have; lists with one item for each layer."""
    config = class_of(tiny)
    depth = getattr(config(**tiny.keys), "num_hidden_layers", 3)
    own = {field.name for field in dataclasses.fields(config)} | set(config.attribute_map)
    for key in sorted(OTHERS.keys() - own):
        for value in OTHERS[key]:
            whole = (value * depth)[:depth] if isinstance(value, list) and key != "mlp_only_layers" else value
            yield Change(tiny, "saved", (key,), (whole,), "other")
            if key.startswith(("rope", "rotary", "partial", "layer_types", "first_k", "sliding", "no_rope")):
                yield Change(tiny, "sparse", (key,), (whole,), "other")


def _published(tiny: Tiny) -> Iterator[Change]:
    """Each setting that a published config of the type has: all but sizes, which only fit each other."""
    for config in published().get(class_of(tiny).model_type, ()):
        for key, value in config.items():
            is_setting = value is None or isinstance(value, bool | str | float | dict)
            if is_setting and key not in ELSEWHERE and not key.startswith(("_", "quantization", "auto_map")):
                yield Change(tiny, "saved", (key,), (value,), "published")


@cache
def published() -> dict[str, list[dict[str, Any]]]:
    """The configs of fixtures/published by model type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(PUBLISHED.glob("*.json")):
        config = json.loads(path.read_text())["config"]
        found.setdefault(config.get("model_type", ""), []).append(config)
    return found


def _of_field(tiny: Tiny, base: str, path: tuple[str, ...], annotation: Any, value: Any) -> Iterator[Change]:
    if path[-1] in ELSEWHERE or "dropout" in path[-1] or path[-1].endswith("token_id"):
        return
    # What follows from other keys shows in one change of each, where none of it is stated.
    for chain in chains(path[-1], annotation, value) if base == "saved" else ():
        yield Change(tiny, base, path, chain)
    for chain in islice(chains(path[-1], annotation, value), 1) if base == "sparse" else ():
        yield Change(tiny, base, path, chain)
    if value is not None:
        yield Change(tiny, base, path, (None,))
    yield Change(tiny, base, path, (ABSENT,))
    if isinstance(value, dict) and not path[-1].startswith("rope"):
        for key, part in value.items():
            yield from _of_field(tiny, base, (*path, key), _annotation(tiny, path, key), part)


def _annotation(tiny: Tiny, path: tuple[str, ...], key: str) -> Any:
    """What the class of a nested config says of a key."""
    return _annotations(tiny.kind, json.dumps(tiny.keys), path[0]).get(key)


@cache
def _annotations(kind: str, keys: str, part: str) -> dict[str, Any]:
    """What the class of a nested config says of all of its keys."""
    nested = getattr(getattr(transformers, f"{kind}Config")(**json.loads(keys)), part, None)
    return {field.name: field.type for field in dataclasses.fields(nested)} if dataclasses.is_dataclass(nested) else {}


def types() -> list[str]:
    """The declared types that transformers has."""
    return sorted({class_of(tiny).model_type for tiny in TINY})


def bases_of(model_type: str) -> list[Tiny]:
    """The tiny models whose keys are changed: those with a head, or the one that a type without heads has."""
    made = [tiny for tiny in TINY if class_of(tiny).model_type == model_type]
    headed = [tiny for tiny in made if tiny.model in HEADED]
    return headed or made[:1]


@cache
def changes_of(model_type: str) -> tuple[Change, ...]:
    """Every change of a type's first tiny model, and of its own keys for each of the others."""
    first, *others = bases_of(model_type)
    more = (change for tiny in others for change in changes(tiny))
    return (*changes(first), *(c for c in more if c.base == "saved" and (c.kind == "own" or c.key == "layer_types")))
