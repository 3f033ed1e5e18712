"""Run the declared model on tokens, its weights streamed from the files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from weightscope.analyses.forward.memory import peak_bytes
from weightscope.analyses.forward.stages import Recorder, Stage
from weightscope.analyses.forward.stream import Stream, missing_tensor
from weightscope.analyses.inventory import Inventory
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.values import need_torch
from weightscope.components.base import Component, find
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Head
from weightscope.components.running import At, Pass, Stopped
from weightscope.components.vision import VisionEncoder
from weightscope.components.vision_language import VisionLanguage
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.registry import Declaration
from weightscope.ranges import template_of
from weightscope.roles import Role, Section

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch

DTypeName = Literal["float32", "bfloat16", "float64"]
DTYPES: tuple[DTypeName, ...] = ("float32", "bfloat16", "float64")
# Rows of logits whose softmax is taken at a time.
ROWS = 64


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and how.

    `tokens` are ids; `pixel_values` [images, channels, height, width] are a vision model's input; `position_ids` are
    [T] or [axes, T], 0 to T - 1 unless told otherwise. `device` is cpu, cuda, cuda:N, mps or auto. `stop_after` is
    the last layer to compute. `held` keeps the weights for further passes, in whatever memory that takes. `measure`
    looks at what every stage puts out. `keep` is handed every stage's name and output.
    """

    tokens: tuple[int, ...] = ()
    pixel_values: np.ndarray[Any, Any] | torch.Tensor | None = None
    position_ids: Sequence[int] | Sequence[Sequence[int]] | torch.Tensor | None = None
    device: str = "cpu"
    compute_dtype: str = "float32"
    stop_after: int | None = None
    held: dict[Any, Mapping[str, torch.Tensor]] | None = None
    measure: bool = True
    progress: Progress | None = None
    keep: Callable[[str, torch.Tensor], None] | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A token that may come next; `text` where a tokenizer tells it."""

    token_id: int
    logit: float
    probability: float
    text: str | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass gave.

    `output` is float32 on the CPU, None where the pass was stopped: logits [tokens, vocabulary] where `has_logits`,
    else a base model's [tokens, width], a classifier's [tokens, labels] or a vision encoder's features. `broken` are
    the weights that the first stage with NaN or infinity read. `peak_bytes` is the most memory the process has had, or
    on a GPU the most that was allocated there.
    """

    tokens: tuple[int, ...]
    device: str
    compute_dtype: str
    stages: tuple[Stage, ...]
    output: torch.Tensor | None
    has_logits: bool
    seconds: float
    peak_bytes: int
    broken: tuple[str, ...] = ()
    image_token: int | None = None

    @property
    def logits(self) -> torch.Tensor:
        """Float32 [tokens, vocabulary].

        Raises:
            UsageError: the pass stopped before them, or the model has no head over a vocabulary.
        """
        if self.output is None or not self.has_logits:
            raise UsageError("there are no logits: the pass was stopped, or the model has no head over a vocabulary")
        return self.output

    @property
    def finite(self) -> bool:
        """Whether no stage put out NaN or infinity, or of a pass without stages, the end."""
        if not self.stages and self.output is not None:
            return bool(self.output.isfinite().all())
        return all(stage.finite for stage in self.stages)

    def top(self, count: int = 5) -> list[list[Candidate]]:
        """For each position the likeliest tokens after it, best first."""
        if not self.has_logits or not self.finite:
            return []
        rows: list[list[Candidate]] = []
        for chunk in self.logits.split(ROWS):  # type: ignore[no-untyped-call]
            best = chunk.topk(min(count, chunk.shape[-1]), dim=-1)
            shares = (best.values - chunk.logsumexp(-1, keepdim=True)).exp()
            for ids, logits, probabilities in zip(
                best.indices.tolist(), best.values.tolist(), shares.tolist(), strict=True
            ):
                rows.append(
                    [
                        Candidate(token_id=i, logit=value, probability=probability)
                        for i, value, probability in zip(ids, logits, probabilities, strict=True)
                    ]
                )
        return rows

    def losses(self) -> list[float]:
        """The negative log-probability, in nats, of each token after the first, given all before it; of no image's."""
        if not self.has_logits or not self.finite:
            return []
        import torch

        targets = torch.tensor(self.tokens[1:])
        found: list[float] = []
        for start in range(0, len(targets), ROWS):
            wanted = targets[start : start + ROWS]
            chunk = self.logits[start : start + len(wanted)]
            each = torch.nn.functional.cross_entropy(chunk, wanted.clamp(max=chunk.shape[-1] - 1), reduction="none")
            found += each[wanted != self.image_token].tolist() if self.image_token is not None else each.tolist()
        return found


def run_forward(declaration: Declaration, checkpoint: Checkpoint, inventory: Inventory, request: Request) -> Result:
    """One pass over one sequence.

    Raises:
        UsageError: no tokens, ids beyond the vocabulary or the learned positions, no such device, a wrong image.
        NotImplementedByWeightscope: an architecture, activation or rope scaling that has no maths here, by name.
        CheckpointError: a tensor on the way is missing.
        WeightscopeError: torch is not installed.
    """
    tree = declaration.tree
    if not isinstance(tree, CausalLM | VisionLanguage | VisionEncoder):
        raise NotImplementedByWeightscope(f"the forward pass of {declaration.family.model_type} is not implemented")
    need_torch()
    import torch

    device = _device(request)
    _check_tokens(tree, request)
    images = _images(tree, request)
    tokens = torch.tensor(request.tokens, dtype=torch.long)
    positions = _positions(tokens, request)
    _refuse_missing(declaration, checkpoint, inventory, request.stop_after)
    start = time.perf_counter()
    with Stream(checkpoint, declaration, device) as stream, torch.no_grad(), _exact_convolutions():
        recorder = Recorder(stream.taken, progress=request.progress, keep=request.keep, measures=request.measure)
        run = Pass(
            reader=stream,
            dtype=getattr(torch, request.compute_dtype),
            device=device,
            positions=positions.to(device),
            images=None if images is None else images.to(device, getattr(torch, request.compute_dtype)),
            watch=recorder,
            last=request.stop_after,
            held=request.held,
        )
        output = _output(tree, tokens.to(device), At(run=run))
        stages, broken = recorder.finish(lambda name: map(str, inventory.group_of(name).roles))
    return Result(
        tokens=request.tokens,
        device=str(device),
        compute_dtype=request.compute_dtype,
        stages=stages,
        output=output,
        has_logits=output is not None and _has_head(tree),
        seconds=time.perf_counter() - start,
        peak_bytes=_peak(device),
        broken=broken,
        image_token=tree.image_token if isinstance(tree, VisionLanguage) else None,
    )


def language_model(tree: Component) -> CausalLM | None:
    """The language model of a tree, or None where it has none."""
    return next(find(tree, CausalLM), None)


def _output(tree: CausalLM | VisionLanguage | VisionEncoder, tokens: torch.Tensor, at: At) -> torch.Tensor | None:
    """What came out last, in float32 on the CPU."""
    place = at.below(tree)
    try:
        if isinstance(tree, VisionEncoder):
            assert at.run.images is not None
            out = tree.forward(at.run.images[0], place)
            tree.pool(out, place)
        else:
            out = tree.forward(tokens, place)
    except Stopped:
        return None
    return out.float().cpu()


def _has_head(tree: Component) -> bool:
    model = language_model(tree)
    return model is not None and isinstance(model.head, Head)


def _check_tokens(tree: Component, request: Request) -> None:
    model = language_model(tree)
    if model is None:
        if request.tokens:
            raise UsageError("a vision encoder takes an image and no tokens")
        return
    if not request.tokens:
        raise UsageError("no tokens to run on", hint="give at least one")
    rows = int(model.decoder.embedding.rows)
    image = tree.image_token if isinstance(tree, VisionLanguage) else None
    beyond = [token for token in request.tokens if not 0 <= token < rows and token != image]
    if beyond:
        raise UsageError(f"token {beyond[0]} is not among the {rows:,} of the vocabulary (0 to {rows - 1:,})")
    positions = model.decoder.positions
    if positions and len(request.tokens) > (learned := positions.rows - positions.offset):
        raise UsageError(
            f"{len(request.tokens):,} tokens are more than the {learned:,} learned positions",
            hint=f"give at most {learned:,}",
        )
    depth = model.decoder.depth
    if request.stop_after is not None and not 0 <= request.stop_after < depth:
        raise UsageError(f"there is no layer {request.stop_after}", hint=f"layers are 0 to {depth - 1:,}")


def _images(tree: Component, request: Request) -> torch.Tensor | None:
    """The pixels [images, channels, height, width], held against what the encoder and the tokens expect."""
    encoder = next(find(tree, VisionEncoder), None)
    if request.pixel_values is None:
        if isinstance(tree, VisionEncoder):
            raise UsageError("a vision encoder needs an image")
        if isinstance(tree, VisionLanguage) and tree.image_token in request.tokens:
            raise UsageError(f"token {tree.image_token} stands for an image, and no image was given")
        return None
    if encoder is None:
        raise UsageError("this model takes no image")
    import torch

    pixels = torch.as_tensor(request.pixel_values)
    pixels = pixels[None] if pixels.ndim == 3 else pixels
    side, channels = int(encoder.patches.image), int(encoder.patches.channels)
    if pixels.ndim != 4 or pixels.shape[1:] != (channels, side, side) or not len(pixels):
        raise UsageError(
            f"an image of shape {list(pixels.shape)} does not fit: the encoder takes [{channels}, {side}, {side}]"
        )
    if isinstance(tree, VisionLanguage):
        places, wanted = request.tokens.count(tree.image_token), len(pixels) * tree.image_tokens
        if places != wanted:
            raise UsageError(
                f"{places:,} image tokens (id {tree.image_token}) for {len(pixels):,} images of {tree.image_tokens:,}"
            )
    elif len(pixels) > 1:
        raise UsageError("one image at a time")
    return pixels


def _positions(tokens: torch.Tensor, request: Request) -> torch.Tensor:
    import torch

    if request.position_ids is None:
        return torch.arange(len(tokens))
    positions = torch.as_tensor(request.position_ids, dtype=torch.long)
    if positions.ndim not in (1, 2) or positions.shape[-1] != len(tokens) or (positions < 0).any():
        raise UsageError(f"position_ids of shape {list(positions.shape)} do not fit {len(tokens):,} tokens")
    return positions


def _device(request: Request) -> torch.device:
    """The device of that name, if it is there."""
    import torch

    if request.compute_dtype not in DTYPES:
        raise UsageError(f"no compute dtype {request.compute_dtype!r}", hint=f"known are {', '.join(DTYPES)}")
    kind, _, number = request.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdecimal())):
        raise UsageError(f"no device {request.device!r}", hint="known are cpu, cuda, mps and auto")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind]:
        raise UsageError(f"there is no {kind} device here", hint="use --device cpu, or auto for what there is")
    if number and int(number) >= torch.cuda.device_count():
        raise UsageError(f"there is no {request.device} here", hint=f"there are {torch.cuda.device_count()} of them")
    if kind == "mps" and request.compute_dtype == "float64":
        raise UsageError("mps computes no float64", hint="use --device cpu")
    return torch.device(f"{kind}:{number}" if number else kind)


def _refuse_missing(declaration: Declaration, checkpoint: Checkpoint, inventory: Inventory, last: int | None) -> None:
    """Raise before anything is computed for a tensor that the language model is sure to need.

    Experts that no token may want, and the parts that see an image, are missed when they are asked for.
    """
    for slot, names in inventory.missing:
        if slot.auxiliary or "expert" in slot.kinds or slot.section in (Section.VISION, Section.PROJECTOR):
            continue
        literal = len(template_of(slot.template)[1])
        for name in names:
            layer = template_of(name)[1][literal] if slot.kinds else None
            beyond = (
                slot.stored.parts[0][0] in (Role.FINAL_NORM, Role.LM_HEAD) if layer is None else layer > (last or 0)
            )
            if last is None or not beyond:
                raise missing_tensor(name, declaration.slots, checkpoint)


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
