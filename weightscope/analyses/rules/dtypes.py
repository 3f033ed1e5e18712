"""Are the element types what the config says, and alike where the model is uniform?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from weightscope.analyses.groups import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.checkpoint.dtypes import DTYPE_BITS, FLOATS
from weightscope.checkpoint.location import IN_PARTS
from weightscope.findings import Finding
from weightscope.ranges import Title, summed
from weightscope.storage.base import Kind


def strange_dtypes(subject: Subject) -> Iterator[Finding]:
    """`dtype-mismatch`: a group that mixes types or differs from the rest is a warning, wider ones are info.

    Models keep norms or routers in float32 on purpose; nobody keeps one layer of a matrix in another type.
    """
    # A GGUF file has a type for each tensor by design. A run in mixed precision keeps what it trains in float32, and
    # what is frozen as it came.
    if not subject.has_shapes or subject.declaration is None or subject.declaration.contained:
        return
    if subject.checkpoint.location.format in IN_PARTS:
        return
    groups = [group for group in subject.inventory.groups if _is_plain(group)]
    main = _dominant(groups)
    if main is None:
        return
    # Integers and narrow floats are a question of quantization, asked there.
    if main not in FLOATS:
        return
    for group in groups:
        types = _dtypes(group)
        if len(types) > 1 or main not in types:
            yield _strange(subject, group, types, main)
    said = subject.config.dtype if subject.config else None
    if said and said != main:
        yield Finding(
            code="dtype-mismatch",
            severity="info",
            message=f"the weights are stored in {main}, but config.json says {said}",
            expected=said,
            actual=main,
            config=("dtype",),
            hint="loaders convert the weights to the dtype of config.json",
        )


def _is_plain(group: Group) -> bool:
    """Weights and biases of a recognized name that are not quantized."""
    return not group.inferred and group.kind in (Kind.WEIGHT, Kind.BIAS) and group.scheme is None


def _dominant(groups: list[Group]) -> str | None:
    elements: Counter[str] = Counter()
    for group in groups:
        for (dtype, shape), count in group.counts.items():
            if dtype:
                elements[dtype] += prod(shape) * count
    return elements.most_common(1)[0][0] if elements else None


def _strange(subject: Subject, group: Group, types: set[str], main: str) -> Finding:
    wider = len(types) == 1 and all(t in FLOATS and DTYPE_BITS[t] > DTYPE_BITS[main] for t in types)
    odd = [name for name in group.names if subject.checkpoint.tensors[name].dtype != main] if len(types) > 1 else []
    titles = summed(odd) or [_title(group)]
    said = ", ".join(sorted(types - {main}))
    return Finding(
        code="dtype-mismatch",
        severity="info" if wider else "warning",
        message=f"{', '.join(titles[:3])}: stored in {said}, but the rest of the model in {main}",
        tensors=tuple(titles),
        expected=main,
        actual=sorted(types),
        hint="norms and routers are often kept in higher precision" if wider else "save the model again in one dtype",
    )


def _title(group: Group) -> Title:
    return Title(group.title, group.names)


def _dtypes(group: Group) -> set[str]:
    return {dtype for dtype, _ in group.counts if dtype}
