"""What happened to tensors that have another shape than the config gives them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from weightscope.analyses.groups import Group
from weightscope.analyses.rules.bridges import tell_bridge
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.together import tell_together
from weightscope.analyses.rules.truths import Wrong, likely_hint
from weightscope.findings import Finding
from weightscope.ranges import Title, summed
from weightscope.sizes import Shape

DAMAGED = "the same tensors of other layers fit: these are damaged or from another model; save the checkpoint again"
QUANTIZED = "the sizes do not fit quantization_config: check that weights and config.json come from the same export"


def explained(subject: Subject, groups: Iterable[Group]) -> Iterator[Finding]:
    """A finding for each cause that explains several of these groups, and one for each that nothing explains."""
    wrong = [item for group in groups for item in _strange(group, subject)]
    plain = [item for item in wrong if not item.group.packed]
    for tell in (partial(tell_bridge, subject), tell_together):
        for finding, said in tell(plain):
            yield finding
            wrong = [item for item in wrong if item not in said]
            plain = [item for item in plain if item not in said]
    hint = likely_hint(subject, plain) if plain else ""
    for item in wrong:
        sizes: Shape = item.group.shape or ()
        expected = [int(size) for size in sizes]
        packed = item.group.packed
        some = len(item.names) < item.group.tensors
        titles = summed(item.names) if some else [Title(item.group.title, item.group.names)]
        verb = "is" if len(item.names) == 1 else f"all {len(item.names):,} are"
        yield Finding(
            code="quantization-mismatch" if packed else "shape-mismatch",
            severity="error",
            message=f"{', '.join(titles[:3])}: {verb} {list(item.shape)}, but config.json gives {expected}"
            f" ({' × '.join(size.text for size in sizes)})",
            tensors=tuple(titles),
            expected=expected,
            actual=list(item.shape),
            config=("quantization_config",) * packed + tuple(dict.fromkeys(key for size in sizes for key in size.keys)),
            hint=QUANTIZED if packed else DAMAGED if some else hint,
        )


def _strange(group: Group, subject: Subject) -> Iterator[Wrong]:
    shapes = group.misfits
    if len(group.counts) == 1:
        yield from (Wrong(group, shape, group.names) for shape in shapes)
        return
    names: dict[tuple[int, ...], list[str]] = {}
    for name in group.names:
        names.setdefault(subject.checkpoint.tensors[name].shape, []).append(name)
    yield from (Wrong(group, shape, tuple(names[shape])) for shape in shapes)
