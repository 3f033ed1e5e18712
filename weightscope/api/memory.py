"""What a user asks of `memory`, checked before a model is read."""

from __future__ import annotations

from weightscope.analyses.memory.dtypes import element_type
from weightscope.analyses.memory.pages import PAGE_SIZE
from weightscope.analyses.memory.request import Request


def asked(
    *,
    context: int | None = None,
    batch: int = 1,
    source_tokens: int | None = None,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    page_size: int = PAGE_SIZE,
) -> Request:
    """What a user asks for, checked before any model is read.

    Raises:
        UsageError: a number or a type that is none.
    """
    return Request(
        context=context,
        batch=batch,
        source=source_tokens,
        page_size=page_size,
        dtype=None if dtype is None else element_type("dtype", dtype),
        kv_dtype=None if kv_dtype is None else element_type("kv_dtype", kv_dtype),
    )
