"""What a training run keeps beside the weights, such as optimizer state and random states, and how far it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS

OPTIMIZERS = frozenset(("optimizer", "optimizers", "optim", "opt"))
SCHEDULERS = frozenset(("scheduler", "schedulers", "sched"))
# Words in a key -> what lies under it; the first that fits says what.
_KINDS = (
    ("master_weights", frozenset(("fp32", "master"))),
    ("optimizer", OPTIMIZERS),
    ("scheduler", SCHEDULERS),
    ("random_state", frozenset(("rng", "random"))),
    ("gradients", frozenset(("grad", "grads", "gradient", "gradients"))),
    ("averages", frozenset(("ema", "swa", "averaged"))),
)
# What an optimizer keeps for each weight -> the optimizers that keep just that. Sources: the `state` of each class in
# torch.optim (2.13), transformers' Adafactor, bitsandbytes.optim, lion-pytorch.
_OPTIMIZERS = (
    ({"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}, "Adam or AdamW with amsgrad"),
    ({"exp_avg", "exp_avg_sq"}, "Adam or AdamW"),
    ({"state1", "state2"}, "Adam or AdamW of bitsandbytes"),
    ({"exp_avg_sq_row", "exp_avg_sq_col"}, "Adafactor"),
    ({"row_var", "col_var"}, "Adafactor"),
    ({"square_avg"}, "RMSprop or Adadelta"),
    ({"exp_avg"}, "Lion"),
    ({"momentum_buffer"}, "SGD or Muon with momentum"),
    ({"sum"}, "Adagrad"),
)


# A key that only one writer has -> the writer.
_WRITERS = {"pytorch-lightning_version": "Lightning", "checkpoint_version": "Megatron-LM"}
STEPS = ("global_step", "global_steps", "step", "iteration", "iter")
_EPOCHS = ("epoch", "current_epoch")
MAX_STEP = 1 << 53


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept under one key, or in one file: tensors that are no weights of the model.

    `kind` is optimizer, master_weights, working_weights (copies in 16 bits of weights that are kept in 32), gradients,
    averages, scheduler, random_state or other. `moments` are what an optimizer keeps for each weight, by its names.
    """

    name: str
    kind: str
    tensors: int
    bytes: int
    moments: tuple[str, ...] = ()


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is, and what it keeps beside the weights; what nothing tells is None.

    `writer` is what wrote the checkpoint, `world_size` the number of ranks that did, `optimizer` a guess by what is
    kept for each weight.
    """

    writer: str | None
    step: int | None = None
    epoch: float | None = None
    world_size: int | None = None
    optimizer: str | None = None
    parts: tuple[Part, ...] = ()


def told_by(top: Mapping[object, object], parts: Iterable[Part]) -> Training | None:
    """What a mapping says of the run that saved it, beside the parts in it; None if nothing does."""
    kept = tuple(parts)
    writer = next((words for key, words in _WRITERS.items() if key in top), None)
    step, epoch = (_number(top, keys) for keys in (STEPS, _EPOCHS))
    if not kept and writer is None:
        return None
    return Training(
        writer=writer,
        step=None if step is None else int(step),
        epoch=epoch,
        optimizer=optimizer_of(kept),
        parts=kept,
    )


def _number(top: Mapping[object, object], keys: Iterable[str]) -> float | None:
    for value in map(top.get, keys):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_STEP:
            return value
    return None


def words_in(name: str) -> frozenset[str]:
    """The words of a key, in lower case: `trainer.currentStep` is trainer, current and step."""
    return frozenset(word.lower() for word in re.split(r"\W|_|(?<=[a-z])(?=[A-Z])", name))


def kind_of(name: str) -> str:
    """What the tensors under a key are, by its words."""
    words = words_in(name)
    return next((kind for kind, known in _KINDS if words & known), "other")


def part_of(name: str, tensors: Iterable[tuple[str, str, int]], kind: str | None = None) -> Part:
    """The part of that name; its tensors are given by last key, dtype and number of elements."""
    listed = list(tensors)
    kind = kind or kind_of(name)
    moments = dict.fromkeys(key for key, _, _ in listed if kind == "optimizer" and not key.isdigit() and key != "step")
    return Part(
        name=name,
        kind=kind,
        tensors=len(listed),
        bytes=sum(count * DTYPE_BITS[dtype] // 8 for _, dtype, count in listed),
        moments=tuple(sorted(moments)),
    )


def added_up(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts that several ranks keep, those of one name as one."""
    found: dict[str, Part] = {}
    for part in parts:
        known = found.get(part.name)
        found[part.name] = (
            part
            if known is None
            else msgspec.structs.replace(known, tensors=known.tensors + part.tensors, bytes=known.bytes + part.bytes)
        )
    return tuple(found.values())


def optimizer_of(parts: Iterable[Part]) -> str | None:
    """Which optimizers keep what is there for each weight, in words; None where nothing tells."""
    kept = {moment for part in parts for moment in part.moments}
    return next((words for moments, words in _OPTIMIZERS if moments <= kept), None)
