"""Run the declared model on tokens, its weights streamed from the files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from weightscope.analyses.forward.memory import peak_bytes
from weightscope.analyses.forward.request import (
    Request,
    check_tokens,
    device_of,
    inputs_of,
    positions_of,
)
from weightscope.analyses.forward.result import Result
from weightscope.analyses.forward.stages import Recorder
from weightscope.analyses.forward.stream import Stream, missing_tensor
from weightscope.analyses.inventory import Inventory
from weightscope.checkpoint.array_types import need_torch
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.runnable import Runnable
from weightscope.components.running import At, Pass, Reader, Stopped
from weightscope.config import Config
from weightscope.errors import CheckpointError, NotImplementedByWeightscope
from weightscope.families.declaration import Declaration
from weightscope.pool import pooled
from weightscope.ranges import numbers_in
from weightscope.roles import SENSES, Role
from weightscope.storage.base import Kind

if TYPE_CHECKING:
    import torch

    from weightscope.analyses.adapting.overlay import Overlay
    from weightscope.analyses.forward.adapted import AdaptedReader
    from weightscope.components.inner_adapters import InnerAdapter


def run_forward(
    declaration: Declaration,
    checkpoint: Checkpoint,
    inventory: Inventory,
    request: Request,
    overlay: Overlay | None = None,
) -> Result:
    """One pass over one sequence, with the changes of an overlay in the weights.

    Raises:
        UsageError: no tokens, ids beyond the vocabulary or the learned positions, no such device, a wrong image.
        NotImplementedByWeightscope: an architecture, activation or rope scaling that has no maths here, by name.
        CheckpointError: a tensor on the way is missing.
        ConfigError: settings of the config that do not go together, or take more memory than there is.
        WeightscopeError: torch is not installed.
    """
    tree = declaration.tree
    if not isinstance(tree, Runnable):
        raise NotImplementedByWeightscope(f"the forward pass of {declaration.family.model_type} is not implemented")
    need_torch()
    import torch

    device = device_of(request)
    check_tokens(tree, request)
    inputs = inputs_of(tree, request)
    tokens = torch.tensor(request.tokens, dtype=torch.long)
    positions = positions_of(tree, tokens, request, inputs)
    _refuse_missing(declaration, checkpoint, inventory, request.stop_after)
    _refuse_null_epsilon(declaration)
    inner = tree.inner_adapter(request.task, inputs)
    start = time.perf_counter()
    with pooled(), Stream(checkpoint, declaration, device) as stream, torch.no_grad(), _exact_convolutions():
        recorder = Recorder(stream.taken, progress=request.progress, keep=request.keep, measures=request.measure)
        reader = _adapted(stream, overlay, device) if overlay else stream
        run = Pass(
            reader=_with_inner(reader, inner) if inner else reader,
            dtype=getattr(torch, request.compute_dtype),
            device=device,
            positions=positions.to(device),
            inputs={name: _placed(value, device, request.compute_dtype) for name, value in inputs.items()},
            watch=recorder,
            last=request.stop_after,
            # Weights that are held are those without what is added for a task or for inputs.
            held=None if inner else request.held,
        )
        with _computing(declaration.config):
            output = _output(tree, tokens.to(device), At(run=run))
        stages, broken = recorder.finish(lambda name: map(str, inventory.group_of(name).roles))
    return Result(
        tokens=request.tokens,
        device=str(device),
        compute_dtype=request.compute_dtype,
        stages=stages,
        output=output,
        has_logits=output is not None and bool(tree.logits_of),
        scored=tree.scored(request.tokens, inputs),
        of_same=tree.logits_of == "same",
        seconds=time.perf_counter() - start,
        peak_bytes=_peak(device),
        broken=broken,
        marks=tree.marks,
    )


def refuse_unread(declaration: Declaration, inventory: Inventory) -> None:
    """Refuse weights that are stored by a method that is not implemented, or that have lost what scales them.

    Raises:
        NotImplementedByWeightscope: the method, by name.
        CheckpointError: integers or 8-bit floats stand where no scales are, or a scheme's tensor has a wrong type.
    """
    unread = next((g for g in inventory.groups if g.scheme and g.packing[1] == 0 and g.kind is Kind.WEIGHT), None)
    if unread is not None and unread.scheme is not None:
        raise NotImplementedByWeightscope(
            f"{unread.title} is quantized ({unread.scheme.name}), which is not implemented",
            where=declaration.config.source,
            hint="dequantize the model with the library that quantized it, and run the result",
        )
    for group in inventory.groups:
        narrow = sorted(dtype for dtype, _ in group.counts if dtype and dtype not in FLOATS)
        unscaled = group.kind is Kind.WEIGHT and group.scheme is None and not group.inferred
        if unscaled and not declaration.contained and narrow:
            raise CheckpointError(
                f"{group.title} is stored in {narrow[0]}, but its scales are not known",
                where=declaration.config.source,
                hint="restore quantization_config and the scales of the same export",
                code="quantization-mismatch",
            )
        # Bytes taken for numbers, or numbers for exponents, would be computed with and look sound.
        strange = sorted({dtype for dtype, _ in group.counts if dtype} - group.dtypes)
        if group.scheme is not None and group.dtypes and strange:
            raise CheckpointError(
                f"{group.title} is stored in {strange[0]}, which {group.scheme.name} does not use here",
                where=declaration.config.source,
                hint=f"it may be {', '.join(sorted(group.dtypes))}",
                code="quantization-mismatch",
            )


def _adapted(stream: Stream, overlay: Overlay, device: torch.device) -> AdaptedReader:
    from weightscope.analyses.forward.adapted import AdaptedReader

    return AdaptedReader(stream, overlay, device)


def _with_inner(reader: Reader, adapter: InnerAdapter) -> Reader:
    from weightscope.analyses.forward.inner import InnerReader

    return InnerReader(reader, adapter)


@contextmanager
def _computing(config: Config) -> Iterator[None]:
    """Turn what torch and Python raise of settings that do not go together into an error about the config."""
    try:
        yield
    # A TypeError or a KeyError would be ours.
    except (RuntimeError, ArithmeticError, IndexError, ValueError) as error:
        why = (str(error).strip().splitlines() or [""])[0]
        raise config.error(
            f"the forward pass cannot be computed with these settings ({type(error).__name__}: {why:.200})",
            "compare them with the original config.json",
        ) from error


def _placed(value: torch.Tensor, device: torch.device, compute_dtype: str) -> torch.Tensor:
    """On the device; numbers that are no indices in the compute type."""
    import torch

    return value.to(device, getattr(torch, compute_dtype)) if value.is_floating_point() else value.to(device)


def _output(tree: Runnable, tokens: torch.Tensor, at: At) -> torch.Tensor | None:
    """What came out last, in float32 on the CPU."""
    try:
        return tree.forward(tokens, at.below(tree)).float().cpu()
    except Stopped:
        return None


def _refuse_missing(declaration: Declaration, checkpoint: Checkpoint, inventory: Inventory, last: int | None) -> None:
    """Raise before anything is computed for a tensor that the language model is sure to need.

    Experts that no token may want, and the parts that see an image, are missed when they are asked for.
    """
    for slot, names in inventory.missing:
        if slot.auxiliary or "expert" in slot.kinds or slot.section in SENSES:
            continue
        for name in names:
            numbers = numbers_in(slot.template, name)
            layer = numbers[0] if numbers else None
            beyond = (
                slot.stored.parts[0][0] in (Role.FINAL_NORM, Role.LM_HEAD) if layer is None else layer > (last or 0)
            )
            if last is None or not beyond:
                raise missing_tensor(name, declaration.slots, checkpoint)


def _refuse_null_epsilon(declaration: Declaration) -> None:
    """Raise for a norm whose epsilon is null: its names and shapes are known, its values are not."""
    config = declaration.config
    text = config.data.get("text_config")
    for part in (config.data, text if isinstance(text, dict) else {}):
        for key, value in part.items():
            # A family that may do without one says so.
            needed = isinstance(declaration.family.defaults.get(key), float | int)
            if value is None and key.endswith(("eps", "epsilon")) and needed:
                raise config.error(f"{key!r} is null, not a number", "restore it from the model's repository")


def _exact_convolutions() -> Any:
    """Patches are embedded by a convolution, which on a GPU would be rounded to 19 bits."""
    import torch

    return torch.backends.cudnn.flags(allow_tf32=False)


def _peak(device: torch.device) -> int:
    """The most memory so far: the process's, or what torch allocated on a GPU; 0 where the system does not tell."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    return peak_bytes()
