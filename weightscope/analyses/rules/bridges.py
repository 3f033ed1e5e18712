"""Does the projector fit between its vision tower and its language model?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from weightscope.analyses.bridge import APART, Bridge, Width, bridge_of
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.truths import OTHER_MODEL, Wrong
from weightscope.findings import Finding
from weightscope.ranges import summed
from weightscope.roles import Section

# Tower, projector, language model.
PARTS = 3


def unfit_projector(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, an error: config.json itself gives the projector other widths than its neighbours."""
    bridge = bridge_of(subject.declaration, subject.inventory)
    if bridge is None or not bridge.as_declared or not (bridge.unfit_tower or bridge.unfit_language):
        return
    yield Finding(
        code="config-invalid",
        severity="error",
        message=f"config.json: {bridge.sentence()}",
        config=bridge.keys,
        hint="no image can be computed: correct the size that is wrong",
    )


def tell_bridge(subject: Subject, wrong: list[Wrong]) -> Iterator[tuple[Finding, list[Wrong]]]:
    """`shape-mismatch` of a projector that does not fit its tower or language model, and all that it explains."""
    bridge = bridge_of(subject.declaration, subject.inventory) if wrong else None
    if bridge is None or not (bridge.unfit_tower or bridge.unfit_language):
        return
    parts = {
        part: [item for item in wrong if is_of(item.group.section)]
        for part, is_of, widths in _parts(bridge)
        if not all(width is None or width.fits for width in widths)
    }
    said = [item for items in parts.values() for item in items]
    if not said:
        return
    first = said[0]
    expected = [int(size) for size in first.group.shape or ()]
    shown = f"{summed(first.names)[0]} is {list(first.shape)}, but config.json gives {expected}"
    yield (
        Finding(
            code="shape-mismatch",
            severity="error",
            message=f"{bridge.sentence()}: {shown}",
            tensors=tuple(summed([name for item in said for name in item.names])),
            expected=expected,
            actual=list(first.shape),
            config=bridge.keys,
            hint=_hint([part for part, items in parts.items() if items]),
        ),
        said,
    )


def _parts(bridge: Bridge) -> Iterable[tuple[str, Callable[[Section], bool], tuple[Width | None, ...]]]:
    """Each part's name, the sections that it has, and the widths that are its own."""
    yield "the projector", lambda section: section is Section.PROJECTOR, (bridge.takes, bridge.puts_out)
    yield "the vision tower", lambda section: section is Section.VISION, (bridge.tower,)
    yield "the language model", lambda section: section not in APART, (bridge.language,)


def _hint(others: Collection[str]) -> str:
    """Which parts are from another model, as far as config.json tells."""
    if len(others) == PARTS:
        return OTHER_MODEL
    verb = "is" if len(others) == 1 else "are"
    return f"the rest fits config.json: {' and '.join(others)} {verb} from another model"
