"""Names of an adapter's tensors, as PEFT, MLX, diffusers and kohya's scripts write them: which part of which module."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from weightscope.adapters.common.settings import Library

# What PEFT puts before the names of the base model's modules.
WRAPPER = "base_model.model."
# The parts of each method, by the words with which names end.
WORDS = {
    "lora_A": "A", "lora_B": "B", "lora_embedding_A": "embedding_A", "lora_embedding_B": "embedding_B",
    "lora_magnitude_vector": "magnitude", "lora_E": "E", "ranknum": "ranknum",
    "lora_a": "turned_A", "lora_b": "turned_B",
    "lora_down": "A", "lora_up": "B", "alpha": "alpha", "dora_scale": "magnitude",
    "ia3_l": "ia3",
    "hada_w1_a": "w1_a", "hada_w1_b": "w1_b", "hada_w2_a": "w2_a", "hada_w2_b": "w2_b", "hada_t1": "t1",
    "hada_t2": "t2",
    "lokr_w1": "w1", "lokr_w1_a": "kron_w1_a", "lokr_w1_b": "kron_w1_b", "lokr_w2": "w2", "lokr_w2_a": "kron_w2_a",
    "lokr_w2_b": "kron_w2_b", "lokr_t2": "kron_t2",
    "vera_lambda_b": "vera_b", "vera_lambda_d": "vera_d", "vera_A": "vera_A", "vera_B": "vera_B",
    "oft_R": "oft", "boft_R": "boft_R", "boft_s": "boft_s",
    "trainable_tokens_delta": "rows",
    "prompt_embeddings": "prompt", "prefix_task_cols": "task_columns", "prefix_task_rows": "task_rows",
}  # fmt: skip
# diffusers' older words: `to_q.lora_linear_layer.down`, `processor.to_q_lora.down`.
PAIRS = {"down": "A", "up": "B"}
# Modules that PEFT puts around one of the base's; what is below them is the module's own.
AROUND = {
    "base_layer": "frozen",
    "original_module": "original",
    "modules_to_save": "saved",
    "ln_tuning_layers": "tuned",
}
# The same of which no more is left than that they were there.
BETWEEN = ("token_adapter",)
DIFFUSERS = ("unet.", "transformer.", "text_encoder", "denoiser.")
KOHYA = ("lora_unet_", "lora_te", "lora_transformer_", "lycoris_")


class Place(NamedTuple):
    """A tensor is `part` of what an adapter does to the base's `module`, or to its tensor of that name.

    `saved` and `frozen` parts are a tensor of the base itself, changed or as it was; `module` is then its whole name.
    An `original` one is what a saved one stands in the place of.
    `depth` counts the further wrappers around this one, of other parameters of the same module.
    """

    module: str
    part: str
    depth: int = 0


def place_of(name: str) -> Place:
    """The part that a tensor of that name is; a name without a method's words is a tensor of the base."""
    parts = [part for part in name.removeprefix(WRAPPER).split(".") if part not in BETWEEN]
    depth = 0
    if "base_layer" in parts and not WORDS.keys().isdisjoint(parts):
        depth, parts = parts.count("base_layer"), [part for part in parts if part != "base_layer"]
    for number, word in enumerate(parts):
        if word in AROUND:
            return Place(_around(parts, number), AROUND[word])
        if word in WORDS and (word != "alpha" or number == len(parts) - 1):
            module = ".".join(parts[:number])
            bias = ".bias" if parts[-1] == "bias" and number < len(parts) - 1 else ""
            return Place(module, WORDS[word] + bias, depth)
        if word in PAIRS and number and _is_old(parts[number - 1]):
            return Place(".".join([*parts[: number - 1], parts[number - 1].removesuffix("_lora")]), PAIRS[word])
    if parts[-1] == "m" and len(parts) > 1:
        return Place(".".join(parts[:-1]), "magnitude")
    return Place(".".join(parts), "saved")


def _around(parts: list[str], number: int) -> str:
    """The name that the tensor has in the base; an adapter's name may stand between module and leaf."""
    below = parts[number + 1 :]
    if parts[number] == "modules_to_save" and len(below) > 1:
        below = below[1:]
    return ".".join([*parts[:number], *below])


def _is_old(word: str) -> bool:
    return word.endswith("_lora") or word in ("lora", "lora_linear_layer")


def library_of(names: Collection[str]) -> Library:
    """Whose names they are."""
    first = next(iter(names), "")
    if any(".lora_a" in name or ".lora_b" in name for name in names):
        return "mlx"
    if first.startswith(KOHYA):
        return "kohya"
    return "diffusers" if first.startswith(DIFFUSERS) else "peft"


def tells_adapter(names: Collection[str]) -> bool:
    """Whether names alone say that a file is an adapter: most are parts of a method, and none is a model's."""
    if not names:
        return False
    parts = [place_of(name).part for name in names]
    own = sum(part not in ("saved", "frozen", "magnitude", "alpha") for part in parts)
    return own > 0 and "saved" not in parts
