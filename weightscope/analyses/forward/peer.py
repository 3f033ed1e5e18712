"""The same tokens through an installed transformers, stage by stage beside ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.forward.golden import Tolerance
from weightscope.analyses.forward.run import Result
from weightscope.errors import UsageError, WeightscopeError, one_line
from weightscope.findings import Finding

if TYPE_CHECKING:
    import torch

# Stages whose last is what enters the first layer.
ENTERING = ("token embedding", "position embedding", "embedding norm", "image in place")
Outputs = dict[str, "torch.Tensor"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stage is from transformers' own: the largest difference, and it relative to theirs' size."""

    stage: str
    max_abs_diff: float
    relative: float


class Kept:
    """The outputs of our pass that transformers has too: after the embedding, after each layer, after the head."""

    def __init__(self) -> None:
        self.outputs: Outputs = {}

    def __call__(self, name: str, x: torch.Tensor) -> None:
        """Keep what a stage put out; of a layer's stages the last stays."""
        self.outputs[key_of(name)] = x.float().cpu()


def key_of(stage: str) -> str:
    """What a stage is, or is a part of, in transformers' terms: embedding, layer N, final norm, logits."""
    first, _, rest = stage.partition(" ")
    return f"layer {rest.partition(' ')[0]}" if first == "layer" else "embedding" if stage in ENTERING else stage


def compare_with_transformers(
    directory: Path, result: Result, kept: Kept, *, pixel_values: Any = None
) -> tuple[Comparison, ...]:
    """Run transformers in the same compute type on the CPU, the whole model in memory, and hold ours beside it.

    Raises:
        UsageError: MODEL is no directory that transformers can load.
        WeightscopeError: transformers is not installed, or fails, with its own words.
    """
    try:
        import transformers
    except ImportError:
        raise WeightscopeError(
            "transformers is not installed", hint="pip install transformers, or leave out --compare"
        ) from None
    if not (directory / "config.json").is_file():
        raise UsageError("--compare needs a directory with config.json and weights", where=directory)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = _run(transformers, directory, result, pixel_values)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError, TypeError) as error:
        raise WeightscopeError(
            f"transformers {transformers.__version__} fails ({one_line(str(error), 200)})", where=directory
        ) from None
    return tuple(_compared(kept.outputs, theirs))


def _run(transformers: Any, directory: Path, result: Result, pixel_values: Any) -> Outputs:
    import torch

    arguments = {"dtype": getattr(torch, result.compute_dtype), "local_files_only": True, "trust_remote_code": False}
    loader = transformers.AutoModelForImageTextToText if pixel_values is not None else transformers.AutoModelForCausalLM
    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    if type(config) in transformers.AutoModelForImageTextToText._model_mapping:  # noqa: SLF001 - no public way to ask
        loader = transformers.AutoModelForImageTextToText
    model = loader.from_pretrained(directory, **arguments).eval()
    inputs: dict[str, Any] = {"input_ids": torch.tensor([result.tokens])}
    if pixel_values is not None:
        inputs["pixel_values"] = torch.as_tensor(pixel_values).to(arguments["dtype"])
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True, use_cache=False)
    hidden = [states[0].float() for states in out.hidden_states]
    # Theirs are the embedding, then each layer; the last layer's comes after the final norm.
    named = {"embedding": hidden[0], "final norm": hidden[-1], "logits": out.logits[0].float()}
    return named | {f"layer {number}": states for number, states in enumerate(hidden[1:-1])}


def _compared(ours: Outputs, theirs: Outputs) -> Iterator[Comparison]:
    for name, x in ours.items():
        other = theirs.get(name)
        if other is None or other.shape != x.shape:
            continue
        difference = float((x - other).abs().max())
        size = float(other.square().mean().sqrt())
        yield Comparison(stage=name, max_abs_diff=difference, relative=difference / size if size else difference)


def differing(comparisons: tuple[Comparison, ...], tolerance: Tolerance) -> tuple[Finding, ...]:
    """A finding on the first stage that is further from transformers' than the tolerance."""
    for item in comparisons:
        size = item.max_abs_diff / item.relative if item.relative else 0.0
        if not tolerance.allows(item.max_abs_diff, size):
            return (
                Finding(
                    code="output-mismatch",
                    severity="error",
                    message=f"{item.stage} is the first stage that differs from transformers': by up to"
                    f" {item.max_abs_diff:.3g}, {item.relative:.3g} of its size",
                    actual=item.max_abs_diff,
                    hint="one of the two computes something else than was trained; report it with config.json",
                ),
            )
    return ()
