"""Are the weights quantized as the config says, and is what is quantized checked at all?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weightscope.analyses.groups import Group
from weightscope.analyses.rules.subject import Subject, listed, some
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.families.declaration import Declaration
from weightscope.findings import Finding, Severity
from weightscope.ranges import Title, summed
from weightscope.roles import Section
from weightscope.storage.base import Kind

if TYPE_CHECKING:
    from weightscope.quantization.common.evidence import Mismatch
    from weightscope.quantization.common.method import Method

KEY = ("quantization_config",)
RESTORE = "restore the matching quantization_config: without it, loaders read packed or scaled weights as plain ones"
REMOVE = "remove quantization_config, or restore the quantized weights: loaders look for scales and do not find them"


def strange_quantization(subject: Subject) -> Iterator[Finding]:
    """`quantization-mismatch`: config and files disagree on which modules are quantized, and how.

    `unknown-architecture`, a warning: a method that is not implemented, so that its tensors are counted, not checked.
    """
    declaration = subject.declaration
    if declaration is None or declaration.contained or (subject.has_names and not subject.inventory.recognized):
        return
    narrow = list(_narrow(subject))
    if declaration.method and subject.has_names and not declaration.covered and not narrow:
        yield from _all_plain(subject, declaration, declaration.method)
        return
    for mismatch in declaration.mismatches:
        yield _mismatch(declaration, mismatch)
    yield from _left_over(subject)
    yield from _strange_dtypes(subject)
    if narrow:
        yield _unscaled(narrow, said=declaration.method is not None)
    if declaration.method and declaration.method.missing:
        yield from _unchecked(subject, declaration.method)


def _unchecked(subject: Subject, method: Method) -> Iterator[Finding]:
    unread = [group for group in subject.inventory.groups if group.scheme and group.packing[1] == 0]
    weights = [group for group in unread if group.kind is Kind.WEIGHT]
    count = sum(group.tensors for group in weights)
    severity: Severity = "warning"
    consequence = f"{count:,} quantized weights were counted from config.json, and their tensors were not checked"
    if not subject.has_names:
        severity, consequence = "info", "weights are counted as before quantization"
    elif not weights:
        return
    yield Finding(
        code="unknown-architecture",
        severity=severity,
        message=f"{method.missing}: {consequence}",
        tensors=tuple(Title(group.title, group.names) for group in weights)[:5],
        config=KEY,
        hint="all other tensors were checked; to run `forward`, dequantize the model first",
    )


def _all_plain(subject: Subject, declaration: Declaration, method: Method) -> Iterator[Finding]:
    """Nothing is quantized; that is only said where matrices of layers are there to be."""
    if not any(map(_is_inner_matrix, subject.inventory.groups)):
        return
    # transformers does not read the files beside config.json.
    file = declaration.settings_file
    yield Finding(
        code="quantization-mismatch",
        severity="warning" if file else "error",
        message=f"{file or 'config.json'} says the weights are quantized ({method.name}), but they are not",
        config=() if file else KEY,
        hint=f"remove {file}, or restore the quantized weights" if file else REMOVE,
    )


def leftovers(subject: Subject) -> list[str]:
    """Tensors that stand in the module of a quantized weight, and that its method does not store there."""
    declaration = subject.declaration
    if declaration is None or not declaration.covered:
        return []
    from weightscope.quantization.common.marks import ACTIVATIONS, mark_beside
    from weightscope.quantization.common.method import module_of

    found = []
    for name in subject.inventory.unrecognized:
        module, mark = mark_beside(name, subject.checkpoint.names) or (module_of(name), "")
        stands = name.endswith(".weight") if not mark else mark not in ACTIVATIONS
        if stands and (declaration.schemes.of(f"{module}.weight") or declaration.schemes.of(module)):
            found.append(name)
    return found


def _left_over(subject: Subject) -> Iterator[Finding]:
    titles = summed(leftovers(subject))
    if titles:
        yield Finding(
            code="quantization-mismatch",
            severity="error",
            message=f"{listed(titles)}: stored beside a quantized weight, but its method has no such tensor",
            tensors=tuple(titles),
            config=KEY,
            hint="left over from another method or other settings: save the model again",
        )


def _is_inner_matrix(group: Group) -> bool:
    """A declared matrix within the layers: all methods quantize some of these, and tables rarely."""
    outside = group.section in (Section.EMBEDDING, Section.HEAD)
    return group.kind is Kind.WEIGHT and not group.inferred and not outside and len(group.shape or ()) > 1


def _mismatch(declaration: Declaration, mismatch: Mismatch) -> Finding:
    titles = summed(mismatch.names)
    said = declaration.method.name if declaration.method else ""
    count = some(mismatch.names, "weight")
    if mismatch.fault == "plain":
        message, hint = (
            f"{count} not quantized, but config.json says {said}",
            f"exclude them in quantization_config, or {REMOVE}",
        )
    elif mismatch.fault == "other" and mismatch.wanted:
        message = (
            f"{count} stored with {' and '.join(mismatch.beside)}, but loaders look for "
            f"{' and '.join(mismatch.wanted)} (config.json says {said})"
        )
        hint = "rename them if they mean the same, or " + RESTORE
    elif mismatch.fault == "other":
        message = f"{count} quantized by a different method than config.json says: {mismatch.found}, not {said}"
        hint = RESTORE
    elif said:
        message, hint = f"{count} quantized ({mismatch.found}), but config.json says they are not", RESTORE
    else:
        message = f"{count} quantized ({mismatch.found}), but config.json has no quantization_config"
        hint = RESTORE
    return Finding(
        code="quantization-mismatch",
        severity="error",
        message=f"{message}: {listed(titles)}",
        tensors=tuple(titles),
        config=KEY,
        hint=hint,
    )


def _strange_dtypes(subject: Subject) -> Iterator[Finding]:
    """Tensors of quantized weights in element types that their scheme does not store."""
    for group in subject.inventory.groups:
        found = {dtype for dtype, _ in group.counts if dtype}
        if group.scheme is None or not group.dtypes or found <= group.dtypes:
            continue
        yield Finding(
            code="quantization-mismatch",
            severity="error",
            message=f"{group.title}: {', '.join(sorted(found - group.dtypes))}, "
            f"which {group.scheme.name} does not use here",
            tensors=(Title(group.title, group.names),),
            expected=sorted(group.dtypes),
            actual=sorted(found),
            config=KEY,
            hint="check that weights and config.json come from the same export",
        )


def _narrow(subject: Subject) -> Iterator[Group]:
    """Matrices that are integers or narrow floats, and that nothing scales."""
    for group in subject.inventory.groups:
        if group.kind is Kind.WEIGHT and group.scheme is None and not group.inferred:
            found = {dtype for dtype, _ in group.counts if dtype}
            if found - FLOATS:
                yield group


def _unscaled(groups: list[Group], *, said: bool) -> Finding:
    dtypes = sorted({dtype for group in groups for dtype, _ in group.counts if dtype} - FLOATS)
    why = (
        "and the scales that config.json requires are missing" if said else "and config.json has no quantization_config"
    )
    return Finding(
        code="quantization-mismatch",
        severity="error",
        message=f"{', '.join(group.title for group in groups[:3])}: stored in {', '.join(dtypes)}, {why}",
        tensors=tuple(Title(group.title, group.names) for group in groups[:5]),
        actual=dtypes,
        config=KEY,
        hint=RESTORE,
    )
