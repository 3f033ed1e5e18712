"""The document of `weightscope cache`."""

from __future__ import annotations

from weightscope.api.cache import Held, Holdings
from weightscope.output import words
from weightscope.output.document import Column, Document, Table

COLUMNS = (
    Column(title="Model", kind="name"),
    Column(title="Family"),
    Column(title="Parameters", kind="count"),
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


def cache_document(holdings: Holdings) -> Document:
    """A row a model."""
    models = holdings.models
    whole = sum(held.complete for held in models)
    return Document(
        data=holdings,
        title="Hugging Face cache",
        subtitle=holdings.cache,
        facts=(),
        table=Table(
            columns=COLUMNS,
            rows=tuple((h.reference, _family(h), h.parameters, h.bytes, _state(h)) for h in models),
            weights=tuple("plain" if held.complete else "faint" for held in models),
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
        closing=f"{words.plural(len(models), 'model')}, {whole:,} complete, {words.size(holdings.bytes)}"
        if models
        else "No models here.",
    )


def _family(held: Held) -> str | None:
    return held.family or (f"{held.model_type} (not declared)" if held.model_type else None)


def _state(held: Held) -> str:
    state = held.state.replace("-", " ")
    return f"{state}: {held.detail}" if held.detail else state
