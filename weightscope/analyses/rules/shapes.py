"""Has every tensor the shape that the config gives it?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject
from weightscope.findings import Finding


def misshapen_tensors(subject: Subject) -> Iterator[Finding]:
    """`shape-mismatch`, an error a group, in config terms; with the one key that explains them all, if there is one."""
    groups = [group for group in subject.inventory.groups if group.misfits] if subject.has_shapes else []
    if groups:
        # Few checkpoints need it, and none is to wait for its import.
        from weightscope.analyses.rules.misshapen import explained

        yield from explained(subject, groups)
