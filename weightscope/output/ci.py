"""The formats that CI systems read, each from the verdicts on all MODELs to text."""

from __future__ import annotations

from weightscope.output.github import to_github
from weightscope.output.gitlab import to_gitlab
from weightscope.output.junit import to_junit
from weightscope.output.rdjson import to_rdjson
from weightscope.output.sarif import to_sarif

__all__ = ["CI_FORMATS", "to_github", "to_gitlab", "to_junit", "to_rdjson", "to_sarif"]

CI_FORMATS = {"github": to_github, "gitlab": to_gitlab, "rdjson": to_rdjson, "sarif": to_sarif, "junit": to_junit}
