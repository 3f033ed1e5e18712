"""All that `weightscope memory` says of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from weightscope.analyses.accounting import Parameters
from weightscope.analyses.groups import Group
from weightscope.analyses.memory.activations import Activations, activations
from weightscope.analyses.memory.as_gguf import Convert
from weightscope.analyses.memory.divisions import Division, division
from weightscope.analyses.memory.fit import USABLE, Fit, findings_of, fit
from weightscope.analyses.memory.kept import Kept, runnable_of
from weightscope.analyses.memory.loading import Loading, loading
from weightscope.analyses.memory.ranks import Stage, stages_of
from weightscope.analyses.memory.request import Request
from weightscope.analyses.memory.sizing import context_of, in_llama_cpp, kept_of, sizing_of, trained_context
from weightscope.analyses.memory.state import DecodeState, Sizing, decode_state
from weightscope.analyses.memory.training import Training, training, training_findings
from weightscope.analyses.memory.weights import Weights
from weightscope.analyses.memory.work import TokenWork, token_work
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.summary import ModelInfo
from weightscope.brief import Displayed, clipped, plural
from weightscope.components.state import PerSource
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.findings import Finding
from weightscope.roles import Section

ENCODERS = {Section.VISION: "vision encoder", Section.AUDIO: "audio encoder"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures are for. `trained_context` is the config's, None where it names none.

    `context_source` is the key that `context` is from, `asked` where the caller gave it, `usual` where nothing says it.
    `quantize` says how the weights would be quantized, None where they are loaded as they are.
    """

    context: int
    context_source: str
    trained_context: int | None
    batch: int
    source_tokens: int
    dtype: str | None
    kv_dtype: str
    page_size: int
    quantize: str | None


class Memory(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes, key for key the JSON of `weightscope memory`; all sizes are bytes.

    Attributes:
        schema_version: of the JSON.
        model: which model it is.
        asked: context, batch and types that the figures are for.
        parameters: its counts.
        weights: in the files, as loaded, and by component.
        state: what is kept of each sequence; None where nothing is written token by token, or where it is not known.
        total: weights as loaded and the logical state; None where the state is not known.
        activations: an estimate of what a pass and a decode step need beside them.
        work: multiply-adds of a token and of a context.
        fit: what each device holds; None unless a device was named.
        training: what training takes; None unless a plan was named.
        notes: what the figures leave out.
        findings: `does-not-fit`.
    """

    schema_version: int = 1
    model: ModelInfo
    asked: Asked
    parameters: Parameters
    weights: Weights
    state: DecodeState | None
    total: int | None
    activations: Activations | None = None
    work: TokenWork | None = None
    fit: Fit | None = None
    training: Training | None = None
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        parts = [f"{plural(self.weights.loaded, 'byte')} of weights"]
        parts += [f"{self.state.total.logical:,} of decode state"] if self.state else []
        parts += [finding.code for finding in self.findings]
        return f"Memory({clipped(self.model.reference)}: {', '.join(parts)})"


def report(
    subject: Subject, model: ModelInfo, request: Request, convert: Convert, beside: Sequence[Group] = ()
) -> Memory:
    """The figures of one model; `beside` are an adapter's weights, which lie beside its base's.

    `convert` lays a model out as llama.cpp's converter would.

    Raises:
        NotImplementedByWeightscope: whether it fits is asked, and its decode state is not known.
        UsageError: there are more stages than layers, or weights that cannot be quantized as they are asked to be.
    """
    kept, unknown = kept_of(subject)
    sizing = sizing_of(subject, request)
    trained_for = trained_context(subject.config)
    trained = trained_for.tokens if trained_for else None
    loaded = loading(subject, request, sizing.dtype, convert, beside)
    state = decode_state(kept, sizing) if kept else None
    estimate, unestimated = activations(subject, sizing, in_llama_cpp=in_llama_cpp(subject, request.quantize))
    found = None
    divided = Division()
    device = request.device
    trained_as = None
    if request.recipe is not None:
        usable = None if device is None else int(device.memory * USABLE)
        trained_as = training(subject, loaded, request.recipe, usable, sizing)
    elif device is not None:
        if unknown:
            raise NotImplementedByWeightscope(f"{unknown[0].lower()}{unknown[1:].rstrip('.')}")
        stages = _stages(subject, request, loaded, kept)
        divided = division(kept, loaded, request.ranks)
        found = fit(stages, sizing, device, request.ranks, trained, divided)
    return Memory(
        model=model,
        asked=Asked(
            context=sizing.context,
            context_source=context_of(request.context, trained_for).source,
            trained_context=trained,
            batch=sizing.batch,
            source_tokens=sizing.source,
            dtype=request.dtype,
            kv_dtype=sizing.kv_dtype,
            page_size=sizing.page_size,
            quantize=loaded.words or None,
        ),
        parameters=subject.parameters,
        weights=loaded.weights,
        state=state,
        total=None if unknown else loaded.weights.loaded + (state.total.logical if state else 0),
        activations=estimate,
        work=token_work(subject, loaded, sizing, state.total.logical if state else 0, device, request.ranks),
        fit=found,
        training=trained_as,
        notes=(
            *_notes(sizing, kept, trained, unknown, unestimated),
            *_encoders(subject),
            *_unlike(subject, loaded.weights),
            *_unquantized(subject),
        ),
        findings=(
            *(findings_of(found, divided, sizing) if found else ()),
            *(training_findings(trained_as) if trained_as else ()),
        ),
    )


def _stages(subject: Subject, request: Request, loaded: Loading, kept: Sequence[Kept]) -> list[Stage]:
    """What each stage's ranks hold.

    Raises:
        UsageError: there are more stages than layers.
    """
    runnable = runnable_of(subject)
    depth = runnable.layers if runnable else 0
    if request.ranks.pipeline > max(depth, 1):
        raise UsageError(f"{request.ranks.pipeline:,} stages are more than the {depth:,} layers")
    pairs = list(zip(loaded.groups, loaded.sizes, strict=True))
    return stages_of(pairs, loaded.owners, kept, request.ranks, depth, tied=subject.tying.tied)


def _unlike(subject: Subject, weights: Weights) -> Iterator[str]:
    """What the figures go by where files and config disagree, as after pruning."""
    groups = subject.inventory.groups
    counted = weights.loaded + weights.auxiliary
    # An index alone names no size of a tensor, so what the config does not describe is in the sum of all alone.
    if subject.checkpoint.format == "index" and subject.declaration and (weights.stored or 0) > counted:
        more = (weights.stored or 0) - counted
        yield f"The files have {more:,} bytes more: what config.json does not describe, or what is stored twice."
    if subject.has_shapes and (subject.inventory.missing or any(group.misfits for group in groups)):
        yield (
            "The weights are not those that config.json describes: their bytes are those of the files; state, "
            "activations and work follow config.json."
        )


def _unquantized(subject: Subject) -> Iterator[str]:
    """Where no file tells the bytes of quantized weights, and their method is not implemented."""
    method = subject.declaration.method if subject.declaration else None
    if method and method.missing and not subject.has_names:
        yield f"{method.missing[:1].upper()}{method.missing[1:]}: weights are counted as before quantization."


def _notes(
    sizing: Sizing, kept: tuple[Kept, ...], trained: int | None, unknown: str, unestimated: str
) -> Iterator[str]:
    if unknown:
        yield unknown
    elif not kept:
        yield "This model writes nothing token by token, and keeps no decode state."
    if kept and trained is not None and sizing.context > trained:
        yield f"{sizing.context:,} tokens are more than the {trained:,} that config.json names."
    looks = any(isinstance(state, PerSource) for part in kept for state in part.states)
    if looks and not sizing.source:
        yield (
            "Cross-attention looks at nothing here; --source-tokens is for the tokens that an encoder reads,"
            " or the vectors of images."
        )
    if unestimated:
        yield f"Activations are not estimated: {unestimated}."


def _encoders(subject: Subject) -> Iterator[str]:
    """What the figures leave out of a model that sees, hears, or reads a text before it writes."""
    runnable = runnable_of(subject)
    if runnable is None or runnable.writer is None or not runnable.takes:
        return
    sections = {group.section for group in subject.inventory.groups}
    names = [name for section, name in ENCODERS.items() if section in sections] or ["encoder"]
    if runnable.marks:
        yield "Images and audio are tokens of the context, and --context counts them too."
    yield f"Activations and work are without those of the {' and the '.join(names)}."
