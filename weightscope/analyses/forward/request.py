"""What to run and how, held against what the model takes before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from weightscope.checkpoint.array_types import need_torch
from weightscope.checkpoint.reader import Progress
from weightscope.components.runnable import PIXELS, Runnable
from weightscope.components.sense import Layout, Sense
from weightscope.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch

# What processors make of a text beside what they make of images and audio.
IDS, MASK = "input_ids", "attention_mask"
DTypeName = Literal["float32", "bfloat16", "float64"]
DTYPES: tuple[DTypeName, ...] = ("float32", "bfloat16", "float64")
# Of one pass, which holds the logits of all of them; attention takes the square of it in time.
MAX_TOKENS = 262_144


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and how.

    `tokens` are ids; `pixel_values` are a vision model's input, [images, channels, height, width] or as
    its image processor makes them, `inputs` what else that makes, by its names; `position_ids` are
    [T] or [axes, T], 0 to T - 1 unless told otherwise. `device` is cpu, cuda, cuda:N, mps or auto. `stop_after` is
    the last layer to compute. `task` is the one whose LoRA, among the model's own weights, is added. `held` keeps the
    weights for further passes, in whatever memory that takes. `measure` looks at what every stage puts out. `keep` is
    handed every stage's name and output.
    """

    tokens: tuple[int, ...] = ()
    inputs: Mapping[str, np.ndarray[Any, Any] | torch.Tensor | Sequence[Any]] = {}
    pixel_values: np.ndarray[Any, Any] | torch.Tensor | None = None
    position_ids: Sequence[int] | Sequence[Sequence[int]] | torch.Tensor | None = None
    device: str = "cpu"
    compute_dtype: str = "float32"
    stop_after: int | None = None
    task: str = ""
    held: dict[Any, Mapping[str, torch.Tensor]] | None = None
    measure: bool = True
    progress: Progress | None = None
    keep: Callable[[str, torch.Tensor], None] | None = None


def check_tokens(tree: Runnable, request: Request) -> None:
    """Raise for tokens, or a layer to stop after, that the model does not have."""
    if request.stop_after is not None and tree.layers and not 0 <= request.stop_after < tree.layers:
        raise UsageError(f"there is no layer {request.stop_after}", hint=f"layers are 0 to {tree.layers - 1:,}")
    words, learned = tree.words, tree.learned
    if words is None or not tree.takes_tokens:
        return
    if not request.tokens:
        raise UsageError("no tokens to run on", hint="give at least one")
    if len(request.tokens) > MAX_TOKENS:
        raise too_many_tokens(len(request.tokens))
    rows = int(words.rows)
    beyond = [token for token in request.tokens if not 0 <= token < rows and token not in tree.marks]
    if beyond:
        raise UsageError(f"token {beyond[0]} is outside the vocabulary (0 to {rows - 1:,})")
    if learned and len(request.tokens) > (most := learned.rows - learned.offset):
        raise UsageError(
            f"{len(request.tokens):,} tokens exceed the {most:,} learned positions", hint=f"give at most {most:,}"
        )


def too_many_tokens(count: int) -> UsageError:
    """More tokens than one pass takes."""
    return UsageError(f"{count:,} tokens exceed the limit of {MAX_TOKENS:,} for one pass", hint="give fewer")


def inputs_of(tree: Runnable, request: Request) -> dict[str, torch.Tensor]:
    """What an image processor makes, by its names, held against the model and the tokens."""
    named = dict(request.inputs) | ({} if request.pixel_values is None else {PIXELS: request.pixel_values})
    inputs = {name: sound(name, value) for name, value in named.items()}
    if tree.takes_tokens and MASK in inputs and MASK not in tree.takes:
        check_mask(inputs.pop(MASK), len(request.tokens))
    tree.checked(inputs, request.tokens)
    return inputs


def check_mask(mask: torch.Tensor, count: int) -> None:
    """Hold a mask of tokens, which the pass does without, against their number.

    Raises:
        UsageError: it hides some of them, or is of others.
    """
    if mask.numel() != count:
        raise UsageError(f"{MASK} has shape {list(mask.shape)} for {count:,} tokens")
    if not mask.bool().all():
        raise UsageError(f"{MASK} hides tokens: one sequence needs no padding", hint="leave those tokens out")


def sound(name: str, value: object) -> torch.Tensor:
    """The values as a tensor; no processor makes NaN, infinity or complex numbers.

    Raises:
        UsageError: there are some, or it holds something else than numbers.
    """
    import torch

    try:
        values = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"{name} holds something else than numbers") from None
    if values.is_complex() or (values.is_floating_point() and not values.isfinite().all()):
        raise UsageError(f"{name} contains NaN, infinity or complex numbers")
    return values


def written_out(tokens: Sequence[int], mark: int, sense: Sense, inputs: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    """Whether the tokens have a place for each vector that the inputs become.

    Raises:
        UsageError: the inputs are none that the model takes.
    """
    given = _given(sense, inputs)
    import torch

    return int(sense.places(torch.tensor(tokens), mark, given).sum()) == sum(sense.counts(given))


def layouts_of(sense: Sense, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Sequence[Layout]:
    """How each image or clip is written among the tokens.

    Raises:
        UsageError: the inputs are none that the model takes.
    """
    return sense.layouts(_given(sense, inputs))


def _given(sense: Sense, inputs: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, torch.Tensor]:
    """The inputs as tensors, none missing that the sense needs."""
    need_torch()

    given = {name: sound(name, value) for name, value in inputs.items()}
    sense.complete(given)
    return given


def positions_of(
    tree: Runnable, tokens: torch.Tensor, request: Request, inputs: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """The positions [T], or [axes, T], counted from 0 unless told otherwise."""
    import torch

    if request.position_ids is None:
        return tree.positions_of(tokens, inputs)
    positions = torch.as_tensor(request.position_ids, dtype=torch.long)
    if positions.ndim not in (1, 2) or positions.shape[-1] != len(tokens) or (positions < 0).any():
        raise UsageError(f"position_ids of shape {list(positions.shape)} do not fit {len(tokens):,} tokens")
    table = tree.learned
    if table and (positions.ndim > 1 or int(positions.max()) >= table.rows - table.offset):
        raise UsageError(f"position_ids are outside the learned positions (0 to {table.rows - table.offset - 1:,})")
    return positions


def device_of(request: Request) -> torch.device:
    """The device of that name, if it is there."""
    import torch

    if request.compute_dtype not in DTYPES:
        raise UsageError(f"unknown compute dtype {request.compute_dtype!r}", hint=f"use {' or '.join(DTYPES)}")
    kind, _, number = request.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise UsageError(f"no device {request.device!r}", hint="use cpu, cuda, mps or auto")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind]:
        raise UsageError(f"no {kind} device on this machine", hint="use --device cpu or auto")
    if number and int(number) >= torch.cuda.device_count():
        raise UsageError(
            f"no {request.device} on this machine", hint=f"it has {torch.cuda.device_count()} CUDA devices"
        )
    if kind == "mps" and request.compute_dtype == "float64":
        raise UsageError("mps does not support float64", hint="use --device cpu")
    return torch.device(f"{kind}:{number}" if number else kind)
