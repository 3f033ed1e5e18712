"""Has every tensor the shape that the config gives it, and if not, what happened to those that have not?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.inventory import Group
from weightscope.analyses.rules.dtypes import PACKED
from weightscope.analyses.rules.subject import Subject, summed
from weightscope.analyses.rules.together import tell_together
from weightscope.analyses.rules.truths import Wrong, is_packed, likely_hint
from weightscope.findings import Finding
from weightscope.sizes import Shape
from weightscope.storage.base import Kind

DAMAGED = "the others of its kind fit: these were damaged or come from another model; save the checkpoint again"
QUANTIZED = "the sizes of the quantization are other than the config's: are weights and config of the same export?"


def misshapen_tensors(subject: Subject) -> Iterator[Finding]:
    """`shape-mismatch`, an error a group, in config terms; with the one key that explains them all, if there is one."""
    if not subject.has_shapes:
        return
    wrong = [item for group in subject.inventory.groups for item in _strange(group, subject)]
    plain = [item for item in wrong if not is_packed(item.group)]
    for finding, said in tell_together(plain):
        yield finding
        wrong = [item for item in wrong if item not in said]
        plain = [item for item in plain if item not in said]
    hint = likely_hint(subject, plain) if plain else ""
    for item in wrong:
        sizes: Shape = item.group.shape or ()
        expected = [int(size) for size in sizes]
        packed = is_packed(item.group)
        some = len(item.names) < item.group.tensors
        titles = summed(item.names) if some else [item.group.title]
        verb = "is" if len(item.names) == 1 else f"all {len(item.names):,} are"
        yield Finding(
            code="quantization-mismatch" if packed else "shape-mismatch",
            severity="error",
            message=f"{', '.join(titles[:3])}: {verb} {list(item.shape)}, the config says {expected}"
            f" ({' × '.join(size.text for size in sizes)})",
            tensors=tuple(titles),
            expected=expected,
            actual=list(item.shape),
            config=("quantization_config",) * packed + tuple(dict.fromkeys(key for size in sizes for key in size.keys)),
            hint=QUANTIZED if packed else DAMAGED if some else hint,
        )


def _strange(group: Group, subject: Subject) -> Iterator[Wrong]:
    if group.shape is None:
        return
    expected = tuple(int(size) for size in group.shape)
    shapes = dict.fromkeys(shape for _, shape in group.counts if shape != expected)
    # Plain weights under a scheme that packs are said as that, once, by the rule on quantization.
    if is_packed(group) and group.kind is Kind.WEIGHT and not any(dtype in PACKED for dtype, _ in group.counts):
        return
    for shape in shapes:
        alike = len(group.counts) == 1
        entries = subject.checkpoint.tensors
        yield Wrong(group, shape, group.names if alike else tuple(n for n in group.names if entries[n].shape == shape))
