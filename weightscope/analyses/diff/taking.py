"""From two models to what differs between them."""

from __future__ import annotations

from threading import Event

from msgspec.structs import replace

from weightscope.analyses.diff.comparing import by_role, compare_all, with_ranks
from weightscope.analyses.diff.counts import compare_counts
from weightscope.analyses.diff.findings import differences, other_logits
from weightscope.analyses.diff.folding import folded
from weightscope.analyses.diff.headers import comparable, config_changes, renamed, reshaped, retyped
from weightscope.analyses.diff.multiples import multiples
from weightscope.analyses.diff.norms import offset_norms
from weightscope.analyses.diff.pair import Opened, pair
from weightscope.analyses.diff.result import ConfigChange, Diff, ForwardDiff
from weightscope.analyses.diff.verdict import Facts, verdict_of
from weightscope.analyses.held.alike import same
from weightscope.analyses.held.meaning import meaning
from weightscope.checkpoint.reader import Progress
from weightscope.checkpoint.unchanged import unchanged
from weightscope.findings import passes
from weightscope.ranges import summed


def take_diff(
    a: Opened,
    b: Opened,
    *,
    values: bool,
    progress: Progress | None = None,
    stop: Event | None = None,
) -> Diff:
    """What differs; with `values` the numbers too, as far as they were compared when `stop` is set.

    Raises:
        UsageError, CheckpointError: what one of them holds is not known, missing, cut short, not here or changed.
        WeightscopeError: a quantized weight cannot be undone, or not without torch.
    """
    stop = stop or Event()
    a, b = pair(a, b, values=values)
    left, right = comparable(a.weights, b.weights)
    shapes = tuple(reshaped(left, right))
    unlike = {change.address for change in shapes if change.rows_added is None}
    asked = [address for address in left if address in right and address not in unlike] if values else []
    config = _config(a, b)
    with unchanged(a.checkpoint, b.checkpoint):
        places = {address: place for place, address in enumerate(asked)}
        compared = sorted(compare_all(a, b, asked, progress, stop), key=lambda one: places[one[0].address])
        compared = with_ranks(a, b, compared, stop)
        changed = [value for value, _ in compared if not value.equal]
        # Whoever stops wants nothing more to be read.
        known = [] if stop.is_set() else changed
        scaled, offset = folded(a, b, known), offset_norms(a, b, known)
        # One matrix that is doubled is a change like any other.
        times = multiples(a, b, known) if config else {}
    facts = Facts(
        a=left,
        b=right,
        formats=(a.checkpoint.format, b.checkpoint.format),
        config=config,
        added=tuple(address for address in right if address not in left),
        removed=tuple(address for address in left if address not in right),
        reshaped=shapes,
        retyped=tuple(retyped(left, right)),
        renamed=renamed(left, right),
        values=tuple(value for value, _ in compared) if values else None,
        asked=len(asked),
        folded=scaled,
        offset=offset,
        multiplied=times,
    )
    found = tuple(differences(facts))
    complete = len(compared) == len(asked)
    equal = [value.address for value, _ in compared if value.equal]
    return Diff(
        ok=complete and passes(found, "error"),
        complete=complete,
        verdict=verdict_of(facts),
        a=a.side,
        b=b.side,
        components=tuple(compare_counts(a.counts, b.counts)),
        config=tuple(facts.config),
        both=sum(address in right for address in left),
        added=tuple(facts.added),
        removed=tuple(facts.removed),
        reshaped=shapes,
        retyped=tuple(facts.retyped),
        renamed=facts.renamed,
        values=facts.values if facts.values is None else tuple(facts.values),
        roles=tuple(by_role(compared)) if values else None,
        untouched=tuple(map(str, summed(equal))) if len(equal) < len(compared) else (),
        findings=found,
    )


def with_logits(found: Diff, logits: ForwardDiff) -> Diff:
    """The same with what the logits tell, which may fail it."""
    findings = (*found.findings, *other_logits(logits))
    return replace(found, ok=found.complete and passes(findings, "error"), forward=logits, findings=findings)


def _config(a: Opened, b: Opened) -> tuple[ConfigChange, ...]:
    """Keys that mean something else; none where both declare the same model, however it is spelled."""
    if a.config is None or b.config is None:
        return ()
    if a.declaration and b.declaration and same(a.declaration.tree, b.declaration.tree):
        return ()
    return tuple(config_changes(meaning(a.config, a.declaration), meaning(b.config, b.declaration)))
