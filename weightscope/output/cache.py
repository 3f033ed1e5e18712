"""The document of `weightscope cache`."""

from __future__ import annotations

from weightscope.api.cache import CacheContents, CachedModel
from weightscope.output import words
from weightscope.output.document import Column, Document, Table

COLUMNS = (
    Column(title="Model", kind="name"),
    Column(title="Family"),
    Column(title="Parameters", kind="amount"),
    Column(title="Size", kind="bytes"),
    Column(title="State"),
)
RECORDS = (
    Column(title="Reference"),
    Column(title="Model type"),
    Column(title="Family"),
    Column(title="Parameters", kind="count"),
    Column(title="Bytes", kind="count"),
    Column(title="Complete"),
    Column(title="State"),
    Column(title="Detail"),
    Column(title="Path"),
)


def cache_document(contents: CacheContents) -> Document:
    """A row a model."""
    models = contents.models
    whole = sum(model.complete for model in models)
    return Document(
        data=contents,
        title="Hugging Face cache",
        subtitle=contents.cache,
        facts=(),
        table=Table(
            columns=COLUMNS,
            rows=tuple((h.reference, _family(h), h.parameters, h.bytes, _state(h)) for h in models),
            weights=tuple("plain" if model.complete else "faint" for model in models),
        ),
        records=Table(
            columns=RECORDS,
            rows=tuple(
                (
                    h.reference,
                    h.model_type,
                    h.family,
                    h.parameters,
                    h.bytes,
                    "true" if h.complete else "false",
                    h.state,
                    h.detail,
                    h.path,
                )
                for h in models
            ),
        ),
        closing=f"{words.plural(len(models), 'model')}, {whole:,} complete, {words.size(contents.bytes)}"
        if models
        else "The cache holds no models.",
    )


def _family(model: CachedModel) -> str | None:
    return model.family or (f"{model.model_type} (not declared)" if model.model_type else None)


def _state(model: CachedModel) -> str:
    state = model.state.replace("-", " ")
    return f"{state}: {model.detail}" if model.detail else state
