"""What a user asks of `memory`, checked before a model is read."""

from __future__ import annotations

from weightscope.analyses.memory.devices import device
from weightscope.analyses.memory.dtypes import element_type
from weightscope.analyses.memory.optimizers import Recipe
from weightscope.analyses.memory.pages import PAGE_SIZE
from weightscope.analyses.memory.quantizing import quantizing_for
from weightscope.analyses.memory.ranks import Ranks, ranks_of
from weightscope.analyses.memory.request import Request
from weightscope.analyses.training.grammar import Plan
from weightscope.errors import UsageError


def asked(
    *,
    context: int | None = None,
    batch: int = 1,
    source_tokens: int | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    page_size: int = PAGE_SIZE,
    quantize: str | None = None,
    trainable: str | None = None,
    optimizer: str = "adamw",
    precision: str = "mixed",
    zero: int = 0,
    gpu: str | None = None,
    gpus: int | None = None,
    tensor_parallel: int | None = None,
    pipeline_parallel: int = 1,
    expert_parallel: int = 1,
) -> Request:
    """What a user asks for, checked before any model is read.

    Raises:
        UsageError: a number, a type or a device that is none, or ranks that do not go together.
    """
    recipe = None
    if trainable is not None:
        if (tensor_parallel or 1, pipeline_parallel, expert_parallel) != (1, 1, 1):
            raise UsageError("tensor, pipeline and expert ranks are for serving", hint="zero divides what is trained")
        # What is wrong with the plan itself is said before any model is read.
        Plan.of(trainable)
        recipe = Recipe(plan=trainable, optimizer=optimizer, precision=precision, zero=zero, devices=gpus or 1)
    elif (optimizer, precision, zero) != ("adamw", "mixed", 0):
        raise UsageError("optimizer, precision and zero go with what is trained", hint="add --trainable full")
    ranks = Ranks() if recipe else ranks_of(gpus, tensor_parallel, pipeline_parallel, expert_parallel)
    if gpu is None and ranks != Ranks():
        raise UsageError("GPUs and ranks go with a device", hint="add --gpu, such as --gpu h100-80g or --gpu 24GiB")
    return Request(
        device=None if gpu is None else device(gpu),
        ranks=ranks,
        recipe=recipe,
        quantize=None if quantize is None else quantizing_for(quantize),
        context=context,
        batch=batch,
        source=source_tokens,
        page_size=page_size,
        dtype=None if dtype is None else element_type("dtype", dtype),
        kv_dtype=None if kv_dtype is None else element_type("kv_dtype", kv_dtype),
    )
