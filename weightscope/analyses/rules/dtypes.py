"""Are the element types what the config says, and alike where the model is uniform?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from weightscope.analyses.inventory import Group
from weightscope.analyses.rules.subject import Subject
from weightscope.checkpoint.dtypes import DTYPE_BITS
from weightscope.findings import Finding
from weightscope.ranges import Title, summed
from weightscope.storage.base import Kind

FLOATS = {"F64", "F32", "F16", "BF16"}
# Words and bytes that quantized weights are packed into.
PACKED = {"U32", "U8"}
FP8 = {"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}


def strange_dtypes(subject: Subject) -> Iterator[Finding]:
    """`dtype-mismatch`: a group that mixes types or differs from the rest is a warning, wider ones are info.

    Models keep norms or routers in float32 on purpose; nobody keeps one layer of a matrix in another type.
    """
    if not subject.has_shapes or subject.declaration is None:
        return
    scaled = _scaled_modules(subject)
    groups = [group for group in subject.inventory.groups if _is_plain(group, subject, scaled)]
    main = _dominant(groups)
    if main is None:
        return
    if main not in FLOATS | FP8 and subject.declaration.scheme is None:
        yield Finding(
            code="quantization-mismatch",
            severity="error",
            message=f"the weights are stored in {main}, no floating-point type, and the config names no quantization",
            actual=main,
            config=("quantization_config",),
            hint="restore quantization_config; loaders would read integers as weights",
        )
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
            message=f"the weights are stored in {main}, the config says {said}",
            expected=said,
            actual=main,
            config=("dtype",),
            hint="loaders convert to the config's dtype",
        )


def _is_plain(group: Group, subject: Subject, scaled: set[str]) -> bool:
    """Weights and biases of a recognized name that no quantization scheme packs."""
    if group.inferred or group.kind not in (Kind.WEIGHT, Kind.BIAS):
        return False
    scheme = subject.declaration.scheme if subject.declaration else None
    packed = scheme is not None and _dtypes(group) & (FP8 | PACKED)
    return not packed and not _is_quantized(group, scaled)


def _is_quantized(group: Group, scaled: set[str]) -> bool:
    return group.kind is Kind.WEIGHT and group.template.removesuffix(".weight") in scaled


def _scaled_modules(subject: Subject) -> set[str]:
    """The weights that scales lie beside, as templates less `.weight`; none where the config names no scheme."""
    if subject.declaration is None or subject.declaration.scheme is None:
        return set()
    scales = [group.template for group in subject.inventory.groups if group.kind is Kind.SCALE]
    blocks = {f"{scale.removesuffix('_scales')}_blocks" for scale in scales if scale.endswith("_scales")}
    return {scale.rpartition(".")[0] for scale in scales} | blocks


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
        message=f"{', '.join(titles[:3])}: {said}, where the model is {main}",
        tensors=tuple(titles),
        expected=main,
        actual=sorted(types),
        hint="kept in more precision, as norms and routers often are" if wider else "save it again in one dtype",
    )


def strange_quantization(subject: Subject) -> Iterator[Finding]:
    """`quantization-mismatch`: the config's scheme and what is stored disagree."""
    declaration = subject.declaration
    if declaration is None or not subject.has_shapes:
        return
    scheme = declaration.scheme
    if scheme is None:
        narrow = [g for g in subject.inventory.groups if g.kind is Kind.WEIGHT and _dtypes(g) & FP8 and not g.inferred]
        scales = [g for g in subject.inventory.groups if g.kind is Kind.SCALE]
        if narrow or scales:
            yield Finding(
                code="quantization-mismatch",
                severity="error",
                message="the weights are quantized, but config.json has no quantization_config",
                tensors=tuple(map(_title, [*narrow, *scales][:5])),
                config=("quantization_config",),
                hint="restore quantization_config: without it loaders read scaled weights as plain ones",
            )
        return
    if not any(group.kind is Kind.SCALE for group in subject.inventory.groups):
        yield Finding(
            code="quantization-mismatch",
            severity="error",
            message=f"the config says the weights are quantized ({scheme.name}), but they are stored plain",
            config=("quantization_config",),
            hint="remove quantization_config, or restore the quantized weights: loaders would look for scales in vain",
        )
        return
    wanted = {"fp8": FP8, "mlx": {"U32"}, "mxfp4": {"U8"}}.get(scheme.name, set())
    scaled = _scaled_modules(subject)
    quantized = [group for group in subject.inventory.groups if _is_quantized(group, scaled)]
    wrong = [group for group in quantized if not _dtypes(group) <= wanted]
    for group in wrong:
        yield Finding(
            code="quantization-mismatch",
            severity="error",
            message=f"{group.title}: {', '.join(sorted(_dtypes(group)))}, which {scheme.name} does not store",
            tensors=(_title(group),),
            expected=sorted(wanted),
            actual=sorted(_dtypes(group)),
            config=("quantization_config",),
            hint="are weights and config.json of the same export?",
        )


def _title(group: Group) -> Title:
    return Title(group.title, group.names)


def _dtypes(group: Group) -> set[str]:
    return {dtype for dtype, _ in group.counts if dtype}
