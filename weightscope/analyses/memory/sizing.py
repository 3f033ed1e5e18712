"""What a model keeps of a sequence, and of how many tokens in which type, where nobody says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.analyses.memory.kept import Kept, kept_by, runnable_of
from weightscope.analyses.memory.pages import PAGE_SIZE
from weightscope.analyses.memory.state import DecodeState, Sizing, decode_state
from weightscope.analyses.rules.subject import Subject
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.config import LANGUAGE, Config
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Section

if TYPE_CHECKING:
    from weightscope.analyses.memory.request import Request

# Tokens beyond which no figure means anything, and those of a model that was trained for nobody says how many.
MOST, USUAL_CONTEXT = 10**12, 4096
LENGTHS = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length",
    "max_target_positions",
)  # fmt: skip

# Where a context comes from if not from a key of the config.
ASKED, USUAL = "asked", "usual"


class Context(msgspec.Struct, frozen=True):
    """A number of tokens, and where it comes from: a key of the config, `asked` for, or `usual`."""

    tokens: int
    source: str


def usual_state(subject: Subject) -> DecodeState | None:
    """The decode state of one sequence as long as the model was trained to read; None where it is not known."""
    kept, _ = kept_of(subject)
    sizing = _sized(subject, in_llama_cpp=in_llama_cpp(subject, None))
    return decode_state(kept, sizing) if kept else None


def kept_of(subject: Subject) -> tuple[tuple[Kept, ...], str]:
    """What the model keeps of a sequence, and why that is not known, if it is not."""
    declaration = subject.declaration
    if declaration is None:
        of_adapter = all(group.section is Section.ADAPTER for group in subject.inventory.groups)
        why = (
            "an adapter alone has none (--base names its model)" if of_adapter else "no family declares this model type"
        )
        return (), f"The decode state is not known: {why}."
    try:
        return kept_by(declaration.tree, declaration.config.model_type), ""
    except NotImplementedByWeightscope as error:
        return (), f"The decode state is not known: {error.what}."


def sizing_of(subject: Subject, request: Request) -> Sizing:
    """The request with what the model says where it says nothing."""
    return _sized(
        subject,
        context=request.context,
        batch=request.batch,
        source=request.source,
        page_size=request.page_size,
        dtype=request.dtype,
        kv_dtype=request.kv_dtype,
        in_llama_cpp=in_llama_cpp(subject, request.quantize),
    )


def in_llama_cpp(subject: Subject, quantize: Mapping[str, Any] | str | None) -> bool:
    """Whether llama.cpp would run it: a GGUF file, or what one of its file types would make of the weights."""
    return subject.checkpoint.format == "gguf" or isinstance(quantize, str)


def _sized(
    subject: Subject,
    *,
    context: int | None = None,
    batch: int = 1,
    source: int | None = None,
    page_size: int = PAGE_SIZE,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    in_llama_cpp: bool = False,
) -> Sizing:
    tokens = context_of(context, trained_context(subject.config)).tokens
    # llama.cpp computes in float32 and keeps keys and values in float16, whatever types the weights have.
    computed = dtype or ("F32" if in_llama_cpp else computed_dtype(subject))
    cached = "F16" if in_llama_cpp else computed
    runnable = runnable_of(subject)
    usual = runnable.looks_at(tokens) if runnable else 0
    return Sizing(
        context=tokens,
        batch=batch,
        source=usual if source is None else source,
        page_size=page_size,
        dtype=computed,
        kv_dtype=kv_dtype or cached,
    )


def computed_dtype(subject: Subject) -> str:
    """The element type of the computation: the config's, that of most plain weights, or float32 as loaders have it."""
    if subject.config and subject.config.dtype in FLOATS:
        return str(subject.config.dtype)
    elements: dict[str, int] = {}
    for group in subject.inventory.groups:
        for dtype, _ in group.counts:
            if dtype in FLOATS and group.scheme is None:
                elements[dtype] = elements.get(dtype, 0) + group.elements
    return max(elements, key=elements.__getitem__, default="F32")


def context_of(asked: int | None, trained: Context | None) -> Context:
    """The context that the figures are for: as asked, or else as the model was trained, or else a usual one."""
    return Context(asked, ASKED) if asked else trained or Context(USUAL_CONTEXT, USUAL)


def trained_context(config: Config | None) -> Context | None:
    """How many tokens the model was trained to read, as its config says; None where it does not."""
    for data in _levels(config.data if config else {}):
        for key in LENGTHS:
            value = data.get(key)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST:
                return Context(value, key)
    return None


def _levels(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield data
    for key in LANGUAGE:
        if isinstance(inner := data.get(key), dict):
            yield inner
