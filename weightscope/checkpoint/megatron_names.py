"""How Megatron-LM splits each parameter over tensor-parallel ranks, told by its name.

Sources: Megatron-LM `tools/checkpoint/loader_base.py` and `schema_core.py` for megatron.core's names,
`megatron/legacy/model/language_model.py` for the older ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.tensor_parallel import Split
from weightscope.errors import NotImplementedByWeightscope, Where

CONVERT = "convert it to one rank with Megatron's tools/checkpoint/convert.py"

# Modules whose output is split: rows of the matrix, and the bias with them.
_ROWS = (
    "word_embeddings", "output_layer", "final_linear", "linear_qkv", "linear_q", "linear_kv", "query_key_value",
    "query", "key_value", "linear_q_proj", "linear_q_up_proj", "linear_kv_up_proj", "linear_fc1", "dense_h_to_4h",
)  # fmt: skip
# Modules whose input is split: columns of the matrix; each rank has the whole bias.
_COLUMNS = ("linear_proj", "attention.dense", "linear_fc2", "dense_4h_to_h")
# Modules that each rank has whole.
_WHOLE = (
    "position_embeddings", "tokentype_embeddings", "router", "linear_q_down_proj", "linear_kv_down_proj",
    "pooler.dense", "lm_head.dense", "binary_head", "rotary_pos_emb", "rotary_emb",
)  # fmt: skip


def _pattern(modules: tuple[str, ...], ends: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[._])(?:{'|'.join(map(re.escape, modules))})\.(?:{ends})$")


# Transformer Engine's grouped matrices number their experts there: `experts.linear_fc1.weight3`.
_SPLIT = ((0, _pattern(_ROWS, r"(?:weight|bias)\d*")), (1, _pattern(_COLUMNS, r"weight\d*")))
# Norms of one dimension, those that Transformer Engine fuses into the next matrix among them.
_NORM = re.compile(r"norm\w*\.(?:weight|bias)$|\.layer_norm_(?:weight|bias)$")
_SAME = (_NORM, _pattern(_COLUMNS, r"bias\d*"), _pattern(_WHOLE, r"\w+"))
_GATED = re.compile(r"(?P<before>^|.*\.)(?P<module>linear_fc1|dense_h_to_4h)\.(?:weight|bias)(?P<number>\d*)$")
_DOWN = {"linear_fc1": "linear_fc2", "dense_h_to_4h": "dense_4h_to_h"}


def split_of(name: str, tensors: Mapping[str, TensorEntry], where: Where) -> Split:
    """How the ranks' parts of a parameter go together; `tensors` are all of one rank.

    Raises:
        NotImplementedByWeightscope: no rule is known for it.
    """
    axis = _axis_of(name, len(tensors[name].shape), where)
    return Split(axis=axis, blocks=1 if axis is None else _blocks_of(name, tensors, where))


def _axis_of(name: str, dimensions: int, where: Where) -> int | None:
    """The axis along which ranks split a parameter; None for one that each has whole.

    Raises:
        NotImplementedByWeightscope: no rule is known for the name, or it has too few dimensions for the rule.
    """
    if any(pattern.search(name) for pattern in _SAME):
        return None
    for axis, pattern in _SPLIT:
        if axis < dimensions and pattern.search(name):
            return axis
    raise _unknown(name, where)


def _blocks_of(name: str, tensors: Mapping[str, TensorEntry], where: Where) -> int:
    """How many matrices are stacked in a rank's part of a parameter: two in the first matrix of a gated MLP, else one.

    The second matrix tells: it takes as many columns as the activation gives.

    Raises:
        NotImplementedByWeightscope: the sizes of the two matrices fit neither.
    """
    match = _GATED.search(name)
    if match is None:
        return 1
    down = tensors.get(f"{match['before']}{_DOWN[match['module']]}.weight{match['number']}")
    rows = tensors[name].shape[0]
    blocks = next((blocks for blocks in (1, 2) if down and down.shape[1:] == (rows // blocks,)), 0)
    if not blocks or rows % blocks:
        raise _unknown(name, where)
    return blocks


def _unknown(name: str, where: Where) -> NotImplementedByWeightscope:
    return NotImplementedByWeightscope(
        f"{name[:200]} is split over tensor-parallel ranks in a way that weightscope does not know",
        where=where,
        hint=CONVERT,
    )
