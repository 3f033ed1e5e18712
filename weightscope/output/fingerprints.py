"""A short text for each finding that stays the same from run to run, so that a CI system knows what is new."""

from __future__ import annotations

import hashlib
from collections import Counter

from weightscope.analyses.checking import CheckResult
from weightscope.findings import Finding
from weightscope.output.places import Place, where


class Fingerprints:
    """The fingerprints of one report, no two of them equal."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of(self, result: CheckResult, finding: Finding, place: Place | None) -> str:
        """What stays as it is while counts and wording in the message change; the n-th of its like has n behind it."""
        parts = (finding.code, where(result, place), *finding.tensors, "", *finding.config)
        digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]
        self._seen[digest] += 1
        return f"{digest}:{self._seen[digest]}"
