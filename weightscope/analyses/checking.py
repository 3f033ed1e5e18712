"""Does this checkpoint fit its config? All rules over one subject, and what counts as failing."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import msgspec

from weightscope.analyses.glance import GLANCE, Rule
from weightscope.analyses.rules.config import contradictory_sizes, generation_settings, special_tokens
from weightscope.analyses.rules.dtypes import strange_dtypes
from weightscope.analyses.rules.index import absent_index, extra_shards, wrong_places, wrong_totals
from weightscope.analyses.rules.spellings import contradicting_names
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.rules.tokenizer import tokenizer_end, tokenizer_size
from weightscope.analyses.rules.unread import unread_keys
from weightscope.brief import brief
from weightscope.checkpoint.reader import Progress
from weightscope.errors import UsageError, printable_path
from weightscope.findings import (
    CODES,
    DIFF_CODES,
    FORWARD_CODES,
    MEMORY_CODES,
    SEVERITIES,
    Finding,
    Severity,
    most_severe_first,
    passes,
)

RULES: tuple[Rule, ...] = (
    *GLANCE,
    strange_dtypes,
    wrong_places,
    absent_index,
    extra_shards,
    contradictory_sizes,
    special_tokens,
    generation_settings,
    tokenizer_size,
    tokenizer_end,
    unread_keys,
    contradicting_names,
)
UNSETTLING = {"missing-tensor", "unexpected-tensor", "shape-mismatch", "index-mismatch", "quantization-mismatch"}
# Rules that opening the checkpoint applies: names given twice, shards, headers, pickles, paths, the config's own form.
ON_OPENING = 6


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How much was looked at."""

    tensors: int
    rules: int


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one MODEL; `ok` where no finding is as severe as what fails."""

    schema_version: int = 1
    ok: bool
    checked: Checked
    findings: tuple[Finding, ...]
    reference: str

    __repr__ = brief


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What fails a check, and what is not even said: codes, each with a pattern on tensor names or none."""

    fail_on: Severity = "error"
    ignored: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def of(cls, fail_on: str, ignored: Iterable[str]) -> Policy:
        """From what a user wrote.

        Raises:
            UsageError: no such severity or code.
        """
        if fail_on not in SEVERITIES:
            raise UsageError(f"fail-on {fail_on!r} is not one of {', '.join(SEVERITIES)}")
        pairs = []
        for text in ignored:
            code, _, pattern = text.partition(":")
            known_code(code)
            if text.endswith(":"):
                raise UsageError(f"--ignore {text!r} has an empty pattern", hint="remove the colon to ignore all")
            pairs.append((code, pattern or None))
        return cls(fail_on=fail_on, ignored=tuple(pairs))

    def verdict(self, reference: str, findings: Iterable[Finding], *, tensors: int, rules: int) -> CheckResult:
        """The result after leaving out what is ignored, the most severe first."""
        kept = [finding for finding in findings if not self._ignores(finding)]
        kept = most_severe_first(kept, lambda finding: finding.severity)
        return CheckResult(
            reference=printable_path(reference),
            ok=passes(kept, self.fail_on),
            checked=Checked(tensors=tensors, rules=rules),
            findings=tuple(kept),
        )

    def _ignores(self, finding: Finding) -> bool:
        for code, pattern in self.ignored:
            if code != finding.code:
                continue
            if pattern is None or (finding.tensors and all(fnmatch.fnmatchcase(n, pattern) for n in finding.names)):
                return True
        return False


def known_code(code: str, *, others: bool = False) -> str:
    """The code itself, if it is one of `check`'s or, with `others`, of another command.

    Raises:
        UsageError: there is no such code.
    """
    known = CODES | FORWARD_CODES | MEMORY_CODES | DIFF_CODES if others else CODES
    if code not in known:
        from difflib import get_close_matches

        near = get_close_matches(code, known, n=2)
        raise UsageError(
            f"there is no code {code!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else f"the codes are {', '.join(known)}",
        )
    return code


def run_rules(
    subject: Subject, *, values: bool = False, seen: bool = False, progress: Progress | None = None
) -> tuple[tuple[Finding, ...], int]:
    """What all rules find, and how many were run.

    With `values`, those that read values too; not those that go through all of them if `stats` has `seen` them.
    """
    findings = [finding for rule in RULES if rule is not wrong_totals for finding in rule(subject)]
    # Totals of what is incomplete or misshapen are wrong in consequence, and said enough.
    if not any(finding.severity == "error" and finding.code in UNSETTLING for finding in findings):
        findings += wrong_totals(subject)
    rules = len(RULES) + ON_OPENING
    if values:
        # Imported where values are read: headers are checked without what that takes.
        from weightscope.analyses.rules.added_tokens import equal_added_tokens
        from weightscope.analyses.rules.conventions import broken_conventions
        from weightscope.analyses.rules.scales import strange_scales
        from weightscope.analyses.rules.values import odd_values, unsound_values

        if not seen:
            findings += unsound_values(subject, progress)
            findings += odd_values(subject)
        findings += broken_conventions(subject)
        findings += equal_added_tokens(subject)
        findings += strange_scales(subject)
        rules += 6
    return tuple(findings), rules


def run_adapter_rules(
    subject: Subject,
    found: tuple[Finding, ...],
    *,
    values: bool = False,
    seen: bool = False,
    progress: Progress | None = None,
) -> tuple[tuple[Finding, ...], int]:
    """What the rules for adapters `found`, with what the values tell; and how many rules were run. As `run_rules`."""
    from weightscope.analyses.rules.adapters import ADAPTER_RULES

    rules = len(ADAPTER_RULES) + ON_OPENING
    if not values:
        return found, rules
    from weightscope.analyses.rules.values import unsound_values

    return (*found, *(() if seen else unsound_values(subject, progress))), rules + 2
