"""Does the config give one setting under two names, with two values?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.analyses.rules.subject import Subject
from weightscope.config_values import value_at
from weightscope.findings import Finding

ABSENT = object()


def contradicting_names(subject: Subject) -> Iterator[Finding]:
    """`config-invalid`, warnings: another name of a key, with a value that does not count."""
    if subject.declaration is None or subject.config is None:
        return
    data = subject.config.data
    for key, others in sorted(subject.declaration.config.read.overruled.items()):
        value = value_at(data, key, ABSENT)
        for other in others:
            said = value_at(data, other, ABSENT)
            if value is ABSENT or said is ABSENT or said == value:
                continue
            yield Finding(
                code="config-invalid",
                severity="warning",
                message=f"config.json says {key} {value!r:.40} and {other} {said!r:.40}, "
                f"two names of one setting; {key} counts",
                config=(key, other),
                hint="remove the name whose value is wrong",
            )
