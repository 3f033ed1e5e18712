"""From a tool's arguments to the document that the command prints with `--format json`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from weightscope.analyses.checking import Policy
from weightscope.api.complete import refuse_incomplete
from weightscope.api.model import Model
from weightscope.api.opening import open_model
from weightscope.mcp.allowed import Allowed
from weightscope.mcp.asked import Asked, Check, Diff, Explain, Inspect, Memory, Tensors, asked_of


def answer(tool: str, arguments: dict[str, Any], allowed: Allowed) -> object:
    """The document, as msgspec encodes it.

    Raises:
        WeightscopeError: as the command raises it, or arguments that do not fit the tool.
    """
    asked = asked_of(tool, arguments)
    answering: Callable[[Any, Allowed], object] = ANSWERS[type(asked)]
    return answering(asked, allowed)


def _inspect(asked: Inspect, allowed: Allowed) -> object:
    from weightscope.output.inspect import inspect_document

    model = _opened(asked.model, asked.base, allowed)
    return inspect_document(model.summary(), model.usual_state()).data


def _check(asked: Check, allowed: Allowed) -> object:
    from weightscope.analyses.lock.record import read_lock
    from weightscope.api.checking import check_model

    locked = read_lock(Path(allowed.file(asked.lock))) if asked.lock else None
    return check_model(
        allowed.model(asked.model),
        Policy.of(asked.fail_on, asked.ignore),
        values=asked.values,
        lock=locked,
        base=_base(asked.base, allowed),
    )


def _explain(asked: Explain, allowed: Allowed) -> object:
    from weightscope.output.explanation import explanation_document

    model = _complete(asked.model, asked.base, allowed)
    return explanation_document(model.summary(), model.explain(asked.tensor)).data


def _tensors(asked: Tensors, allowed: Allowed) -> object:
    from weightscope.analyses.filtering import Filter
    from weightscope.analyses.listing import sorted_by

    wanted = Filter.of(asked.pattern, asked.role, asked.layer, asked.dtype)
    model = _complete(asked.model, asked.base, allowed)
    rows = [row for _, row in model.listing() if wanted.fits(row)]
    if asked.sort:
        rows.sort(key=sorted_by(asked.sort))
    end = asked.offset + asked.limit
    return {
        "schema_version": 1,
        "model": model.summary().model,
        "tensors": list(islice(rows, asked.offset, end)),
        "total": len(rows),
        "offset": asked.offset,
        "next_offset": end if end < len(rows) else None,
    }


def _diff(asked: Diff, allowed: Allowed) -> object:
    from weightscope.api.comparing import diff
    from weightscope.findings import passes
    from weightscope.output.diff import diff_document

    found = diff(allowed.model(asked.a), allowed.model(asked.b), values=asked.values)
    return diff_document(msgspec.structs.replace(found, ok=passes(found.findings, asked.fail_on))).data


def _memory(asked: Memory, allowed: Allowed) -> object:
    from weightscope.api import memory
    from weightscope.output.memory import memory_document

    request = memory.asked(
        context=asked.context,
        batch=asked.batch,
        dtype=asked.dtype,
        kv_dtype=asked.kv_dtype,
        quantize=asked.quantize,
        trainable=asked.trainable,
        gpu=asked.gpu,
        gpus=asked.gpus,
    )
    model = _complete(asked.model, asked.base, allowed)
    return memory_document(model.summary(), model.memory_for(request)).data


def _opened(model: str, base: str | None, allowed: Allowed) -> Model:
    return open_model(allowed.model(model), base=_base(base, allowed))


def _complete(model: str, base: str | None, allowed: Allowed) -> Model:
    opened = _opened(model, base, allowed)
    refuse_incomplete(opened)
    return opened


def _base(base: str | None, allowed: Allowed) -> str | None:
    return None if base is None else allowed.model(base)


ANSWERS: dict[type[Asked], Callable[[Any, Allowed], object]] = {
    Inspect: _inspect,
    Check: _check,
    Explain: _explain,
    Tensors: _tensors,
    Diff: _diff,
    Memory: _memory,
}
