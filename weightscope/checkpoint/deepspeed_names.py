"""How tensor-parallel ranks of DeepSpeed split each parameter: the checkpoint says so, or Megatron-LM's names do.

`universal_checkpoint_info` is written by AutoTP and by Megatron-DeepSpeed for DeepSpeed's own converter. Source:
deepspeed/checkpoint/ds_to_universal.py (0.19), `merge_tp_slices`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn

import msgspec

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.megatron_names import split_of
from weightscope.checkpoint.tensor_parallel import Split
from weightscope.errors import NotImplementedByWeightscope, Where

INFO = "universal_checkpoint_info"
CONVERT = "convert it with DeepSpeed's ds_to_universal.py"
# Lists of expressions -> how the ranks' parts of what they match go together; anything else is split by rows.
_LISTS = {
    "tp_replicated_parameter_patterns": Split(),
    "parameter_to_average_patterns": Split(),
    "parameter_with_2_sub_params_cat_dim_0": Split(axis=0, blocks=2),
    "parameter_with_row_parallelism_patterns": Split(axis=1),
}
_PARTS, _WIDTHS = "parameter_with_sub_params", "sub_param_shard_widths"
_UNSUPPORTED = "autotp_unsupported_parameter_patterns"
# What pipelines put before the names of layers that share weights.
_TIED = re.compile(r"(?P<start>\^?)tied_modules\\?\.\w+\\?\.")
# Letters, escaped signs, dots and `\d+`, with one `.*` among them: no such expression takes long to match.
_ATOM = r"(?:\\d\+|\\[^\w\s]|[\w.-])*+"
_PLAIN = re.compile(rf"\^?{_ATOM}(?:\*{_ATOM})?\$?")
_LITERAL = re.compile(r"\^(?:\\[^\w\s]|[\w-])++\$")
MAX_LENGTH, MAX_EXPRESSIONS, MAX_NUMBERS = 1_000, 256, 4


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Whole names, then expressions for the start of a name, each with its split; `told` if the checkpoint has them."""

    told: bool = False
    names: Mapping[str, Split] = {}
    expressions: tuple[tuple[re.Pattern[str], Split], ...] = ()

    def split_of(self, name: str, tensors: Mapping[str, TensorEntry], where: Where) -> Split:
        """How the ranks' parts of a tensor go together; `tensors` are all of one rank.

        Raises:
            NotImplementedByWeightscope: no rule is known for it.
        """
        if self.told:
            matching = (split for expression, split in self.expressions if expression.match(name))
            return self.names.get(name) or next(matching, Split(axis=0))
        return Split() if _is_norm_alone(name, tensors) else split_of(name, tensors, where)


def rules_of(info: object, ranks: int, where: Where) -> Rules:
    """The rules that a checkpoint of so many tensor-parallel ranks has; without any, names tell.

    Raises:
        NotImplementedByWeightscope: an expression that could take long to match, or a way that is not undone here.
    """
    if not isinstance(info, dict) or not (_LISTS.keys() | {_PARTS}) & info.keys():
        return Rules()
    if info.get(_UNSUPPORTED):
        _refuse("has parameters that DeepSpeed itself cannot put together", where)
    names: dict[str, Split] = {}
    expressions: list[tuple[re.Pattern[str], Split]] = []
    for pattern, split in (*_listed(info), *_parts(info, ranks, where)):
        if len(pattern) <= MAX_LENGTH and _LITERAL.fullmatch(pattern):
            names.setdefault(pattern[1:-1].replace("\\", ""), split)
        else:
            expressions += [(compiled, split) for compiled in _compiled(pattern, where)]
        if len(expressions) > MAX_EXPRESSIONS:
            _refuse(f"says in over {MAX_EXPRESSIONS} expressions how it is split", where)
    return Rules(told=True, names=names, expressions=tuple(expressions))


def _listed(info: Mapping[object, object]) -> Iterator[tuple[str, Split]]:
    for key, split in _LISTS.items():
        listed = info.get(key)
        for pattern in listed if isinstance(listed, list | tuple) else ():
            if isinstance(pattern, str):
                yield pattern, split


def _parts(info: Mapping[object, object], ranks: int, where: Where) -> Iterator[tuple[str, Split]]:
    """Of parameters that are several matrices: each rank has a part of each, of the widths that are said."""
    listed, widths = info.get(_PARTS), info.get(_WIDTHS)
    said = widths if isinstance(widths, dict) else {}
    for one in listed if isinstance(listed, list | tuple) else ():
        patterns, shape = (one.get("patterns"), one.get("shape")) if isinstance(one, dict) else (None, None)
        if not isinstance(patterns, list) or not isinstance(shape, list | tuple) or one.get("partition_dim") != 0:
            _refuse("has parameters of several matrices that are split by columns", where)
        for pattern in patterns:
            if isinstance(pattern, str):
                yield pattern, Split(axis=0, widths=_widths(said.get(pattern), shape[0] if shape else 1, ranks, where))


def _widths(said: object, sizes: object, ranks: int, where: Where) -> tuple[tuple[int, ...], ...]:
    """The widths of each matrix's parts: as they are said, or equal ones."""
    if isinstance(said, list | tuple):
        found = tuple(tuple(each) for each in said if isinstance(each, list | tuple))
    else:
        listed = sizes if isinstance(sizes, list | tuple) else ()
        found = tuple((size // ranks,) * ranks for size in listed if type(size) is int and size % ranks == 0)
        said = listed
    numbers = all(type(width) is int and width >= 0 for each in found for width in each)
    if not found or len(found) != len(said) or not numbers or any(len(each) != ranks for each in found):
        _refuse("does not say how the parts of a parameter of several matrices go together", where)
    return found


def _compiled(pattern: str, where: Where) -> Sequence[re.Pattern[str]]:
    """An expression, and the same for a layer's own name where it is that of layers that share weights."""
    if len(pattern) > MAX_LENGTH or not _PLAIN.fullmatch(pattern) or pattern.count("\\d+") > MAX_NUMBERS:
        _refuse(f"says how it is split by an expression that is not matched here ({pattern[:60]!r})", where)
    bounded = pattern.replace("\\d+", r"\d{1,9}")
    tied = _TIED.match(bounded)
    own = [rf"\d{{1,9}}\.{bounded[tied.end() :]}"] if tied else []
    return [re.compile(text) for text in (bounded, *own)]


def _is_norm_alone(name: str, tensors: Mapping[str, TensorEntry]) -> bool:
    """Whether it is a vector of a pipeline's layer that has vectors alone: Megatron-DeepSpeed's last norm."""
    layer, _, leaf = name.rpartition(".")
    return (
        layer.isdecimal()
        and leaf in ("weight", "bias")
        and all(len(entry.shape) == 1 for other, entry in tensors.items() if other.startswith(f"{layer}."))
    )


def _refuse(what: str, where: Where) -> NoReturn:
    raise NotImplementedByWeightscope(f"{what}, which weightscope does not undo", where=where, hint=CONVERT)
