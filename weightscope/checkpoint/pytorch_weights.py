"""Find the weights in what people save: a state dict, alone or within a training checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

from weightscope.checkpoint.limits import MAX_NAME, MAX_TENSORS
from weightscope.checkpoint.pickle_machine import SAVE_AGAIN
from weightscope.checkpoint.pytorch_objects import StoredTensor
from weightscope.checkpoint.training import OPTIMIZERS, SCHEDULERS, Part, part_of
from weightscope.errors import CheckpointError, Where

# Where checkpoints keep the model, the first that holds tensors wins: trained weights before their averages.
WEIGHTS = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights",
    "ema_state_dict", "model_ema", "state_dict_ema", "ema", "params_ema", "ema_model",
)  # fmt: skip
# Words in a key that mark what only a training loop needs, where a container lies under it.
TRAINING_WORDS = OPTIMIZERS | SCHEDULERS | {"scaler", "rng", "callbacks", "loops"}
# A tensor under one of these beside the model is a number of the training loop's.
TRAINING_TENSORS = frozenset(
    ("epoch", "step", "global_step", "iteration", "iter", "loss", "best_loss", "lr", "seed",
     "rng_state", "torch_rng_state", "cuda_rng_state", "cpu_rng_state")
)  # fmt: skip
# The name of a tensor that was saved alone.
LONE = "tensor"
MAX_DEPTH = 64
MAX_NAMES = 1 << 26
# Lists, tuples and mappings that are looked through for tensors; an optimizer has one for each weight.
MAX_CONTAINERS = 500_000

# As a tuple it is looked through in half the time that a union takes.
CONTAINERS = (dict, list, tuple)


def find_weights(
    top: object, where: Where, passed_over: Iterable[str] = ()
) -> tuple[dict[str, StoredTensor], dict[str, Part]]:
    """The tensors of the model by name, and what else each top-level key holds.

    `passed_over` names what else the file holds, for the message where it contains no tensors.

    Raises:
        CheckpointError: no tensors, tensors without names, or two of the same name.
    """
    if isinstance(top, StoredTensor):
        return {LONE: top}, {}
    holding = _holding(top, where)
    if id(top) not in holding:
        others = ", ".join(passed_over)
        _refuse(
            "contains no tensors" + (f" that weightscope reads, only {others}" if others else ""),
            where,
            "give the file with the model's weights",
        )
    if not isinstance(top, dict):
        count = len(tensors_in("", top, set()))
        _refuse(f"holds a {type(top).__name__} of {count:,} tensors, which have no names", where, SAVE_AGAIN)
    if {"state", "param_groups"} <= top.keys():
        _refuse("is an optimizer's state, which holds no weights", where, "give the file with the model's weights")
    chosen = _choose(top, holding, where)
    if not chosen:
        _refuse("holds tensors of a training loop only, no weights", where, "give the file with the model's weights")
    seen: set[int] = set()
    tensors = _flatten(chosen, holding, seen, where)
    rest: dict[str, list[tuple[str, StoredTensor]]] = {}
    for key, value in top.items():
        shown = _shown(key)
        if kept := tensors_in(shown, value, seen):
            rest.setdefault(shown, []).extend(kept)
    return tensors, {shown: _counted(shown, kept) for shown, kept in rest.items()}


def part_in(name: str, value: object, kind: str | None = None) -> Part:
    """The tensors under a key, counted."""
    return _counted(name, tensors_in(name, value, set()), kind)


def _counted(name: str, tensors: Iterable[tuple[str, StoredTensor]], kind: str | None = None) -> Part:
    return part_of(name, ((key, tensor.dtype, tensor.count) for key, tensor in tensors), kind)


def _shown(key: object) -> str:
    """A key as text that every format can hold."""
    text = key if isinstance(key, str) else str(key) if isinstance(key, int) else f"({type(key).__name__})"
    return text[:MAX_NAME].encode("utf-8", "backslashreplace").decode()


def _values(container: object) -> Iterator[object]:
    if isinstance(container, dict):
        return iter(container.values())
    return iter(container if isinstance(container, list | tuple) else ())


def _holding(top: object, where: Where) -> set[int]:
    """The ids of all containers from which a tensor can be reached; each is looked at once, however often shared."""
    parents: dict[int, list[int]] = {id(top): []}
    todo = [top]
    reached: list[int] = []
    while todo:
        container = todo.pop()
        own, direct = id(container), False
        for value in _values(container):
            if isinstance(value, StoredTensor):
                direct = True
            elif value and isinstance(value, CONTAINERS):
                above = parents.get(id(value))
                if above is None:
                    above = parents[id(value)] = []
                    todo.append(value)
                    if len(parents) > MAX_CONTAINERS:
                        _refuse(f"holds more than {MAX_CONTAINERS:,} lists, tuples and mappings", where, SAVE_AGAIN)
                if not above or above[-1] != own:
                    above.append(own)
        if direct:
            reached.append(own)
    holding = set(reached)
    while reached:
        for parent in parents[reached.pop()]:
            if parent not in holding:
                holding.add(parent)
                reached.append(parent)
    return holding


def _choose(top: dict[object, object], holding: set[int], where: Where) -> dict[object, object]:
    """The mapping that is the model, without what belongs to the training loop."""
    mapping, met, outside = top, set[int](), True
    while True:
        if id(mapping) in met:
            _refuse("has a container that contains itself", where, SAVE_AGAIN)
        met.add(id(mapping))
        parts = _parts(mapping, holding)
        named = [key for key in WEIGHTS if isinstance(parts.get(key), dict)]
        if outside or named:
            parts = {key: value for key, value in parts.items() if not _is_training(key, value)}
        inner: object = None
        if named and (outside or not parts.keys() - set(WEIGHTS)):
            inner, outside = parts[named[0]], False
        elif outside and len(parts) == 1:
            inner = _wrapped(mapping, next(iter(parts.values())))
        if not isinstance(inner, dict):
            return parts
        mapping = inner


def _parts(mapping: dict[object, object], holding: set[int]) -> dict[object, object]:
    """The entries that are or hold tensors of the model."""
    nested = any(isinstance(value, dict) and id(value) in holding for value in mapping.values())
    parts: dict[object, object] = {}
    for key, value in mapping.items():
        if isinstance(value, StoredTensor):
            if not (nested and key in TRAINING_TENSORS):
                parts[key] = value
        elif id(value) in holding:
            parts[key] = value
    return parts


def _is_training(key: object, value: object) -> bool:
    if isinstance(value, StoredTensor) or not isinstance(key, str):
        return False
    return not TRAINING_WORDS.isdisjoint(re.split(r"\W|_", key.lower()))


def _wrapped(mapping: dict[object, object], only: object) -> object:
    """What lies under a name of the author's own, if that wraps: something is beside it, or known names within."""
    if isinstance(only, dict) and (len(mapping) > 1 or not only.keys().isdisjoint(WEIGHTS)):
        return only
    return None


def _flatten(mapping: dict[object, object], holding: set[int], seen: set[int], where: Where) -> dict[str, StoredTensor]:
    """Every tensor under its keys joined with dots, in file order; `seen` gains the ids of what was met."""
    tensors: dict[str, StoredTensor] = {}
    levels = [("", iter(mapping.items()))]
    length = 0
    while levels:
        prefix, items = levels[-1]
        key, value = next(items, (None, levels))
        if value is levels:
            levels.pop()
            continue
        if not isinstance(value, StoredTensor) and id(value) not in holding:
            continue
        name = prefix + _name(key, where)
        length += len(name)
        if isinstance(value, StoredTensor):
            if name in tensors:
                _refuse(f"holds two tensors named {name!r}", where, "save them again", "duplicate-tensor")
            tensors[name] = value
        elif id(value) in seen:
            _refuse(f"has one container in several places, {name!r} among them", where, SAVE_AGAIN)
        else:
            levels.append((name + ".", _items(value)))
        if len(levels) > MAX_DEPTH or length > MAX_NAMES or len(tensors) > MAX_TENSORS:
            _refuse(
                f"nests its tensors too deeply, or gives them too long names, under {name[:100]!r}", where, SAVE_AGAIN
            )
        seen.add(id(value))
    return tensors


def _items(container: object) -> Iterator[tuple[object, object]]:
    return iter(container.items()) if isinstance(container, dict) else enumerate(_values(container))


def _name(key: object, where: Where) -> str:
    if isinstance(key, int):
        return str(key)
    if not isinstance(key, str):
        _refuse("names a tensor with a key that is neither text nor a number", where, SAVE_AGAIN)
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            _refuse("names a tensor with text that is not Unicode", where, SAVE_AGAIN)
    return key


def tensors_in(name: str, value: object, seen: set[int]) -> list[tuple[str, StoredTensor]]:
    """The tensors that can be reached from a value and were not seen before, each with the last key on the way."""
    todo: list[tuple[object, object]] = [(name, value)]
    found: list[tuple[str, StoredTensor]] = []
    while todo:
        key, item = todo.pop()
        if id(item) in seen:
            continue
        if isinstance(item, StoredTensor):
            seen.add(id(item))
            found.append((_shown(key), item))
        elif isinstance(item, CONTAINERS):
            seen.add(id(item))
            todo.extend(_items(item))
    return found


def _refuse(what: str, where: Where, hint: str, code: str | None = "malformed-header") -> NoReturn:
    raise CheckpointError(what, where=where, hint=hint, code=code)
