"""The documents and formats of `weightscope check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from weightscope.analyses.checking import CheckResult
from weightscope.output.document import Cell, Column, Document, Table, Verdict
from weightscope.output.overview import found, looked_at, verdicts_document
from weightscope.output.several import emit_all, one_after_another
from weightscope.output.statistics import statistics_document, statistics_of
from weightscope.output.write import Format, put, render

RECORDS = tuple(
    Column(title=title)
    for title in ("Model", "Severity", "Code", "Message", "Tensors", "Expected", "Actual", "Config", "Hint")
)


def check_data(results: Sequence[CheckResult]) -> object:
    """The JSON: of one MODEL as promised, of several the same words for all together and each under `models`."""
    if len(results) == 1:
        return results[0]
    return {
        "schema_version": 1,
        "ok": all(result.ok for result in results),
        "checked": {
            "tensors": sum(result.checked.tensors for result in results),
            "rules": sum(result.checked.rules for result in results),
        },
        "findings": [finding for result in results for finding in result.findings],
        "models": results,
    }


def emit_check(results: Sequence[CheckResult], format: str, output: Path | None, *, statistics: bool = False) -> None:
    """Write the verdicts in any of the formats; `statistics` come last in those for people, and in JSON.

    Raises:
        UsageError: the file cannot be written, or is one of a MODEL's own.
    """
    protected = [path for result in results for path in _files_of(result.reference)]
    if format in (Format.JSON, Format.CSV):
        document = _document(results[0], results)
        if statistics:
            document = msgspec.structs.replace(document, data=_with_statistics(document.data, results))
        put(render(document, Format(format)), output, protected)
    elif format in (Format.TABLE, Format.MARKDOWN):
        documents = [(result.reference, _document(result, results)) for result in results]
        last = [*_overview(results), *([statistics_document(results)] if statistics else [])]
        emit_all(documents, Format(format), output, protected, last=last)
    elif format == "shields":
        from weightscope.output.shields import check_badge

        put(check_badge(results[0]), output, protected)
    else:
        from weightscope.output.ci import CI_FORMATS

        put(CI_FORMATS[format](results), output, protected)


def check_page(results: Sequence[CheckResult], failures: Sequence[str]) -> str:
    """The verdicts as a page of Markdown, with the reasons why other MODELs could not be checked."""
    from weightscope.output.markdown import inline

    documents = [*(_document(result, results) for result in results), *_overview(results)]
    unchecked = "".join(f"- **not checked**: {inline(failure)}\n" for failure in failures)
    parts = ("# weightscope check\n", one_after_another(documents, Format.MARKDOWN), unchecked)
    return "\n".join(filter(None, parts))


def verdicts(results: Sequence[CheckResult], *, named: bool) -> str:
    """The verdict alone, a line each, with the MODEL where there are several."""
    return "".join(f"{_word(result)}{f'  {result.reference}' if named else ''}\n" for result in results)


def _overview(results: Sequence[CheckResult]) -> list[Document]:
    """A row a MODEL, where there are several."""
    return [verdicts_document(results)] if len(results) > 1 else []


def _with_statistics(data: object, results: Sequence[CheckResult]) -> object:
    shown = msgspec.structs.asdict(data) if isinstance(data, msgspec.Struct) else data
    assert isinstance(shown, dict)
    return shown | {"statistics": statistics_of(results)}


def _files_of(reference: str) -> list[Path]:
    if "://" in reference:
        return []
    path = Path(reference)
    return list(path.iterdir()) if path.is_dir() else [path]


def _document(result: CheckResult, results: Sequence[CheckResult]) -> Document:
    return Document(
        data=check_data(results),
        title=result.reference,
        verdict=_word(result),
        subtitle=found(result.findings),
        facts=(),
        table=Table(columns=(), rows=()),
        records=_records(results),
        findings=result.findings,
        closing=f"Checked {looked_at(result)}.",
    )


def _word(result: CheckResult) -> Verdict:
    return "ok" if result.ok else "failed"


def _records(results: Sequence[CheckResult]) -> Table:
    return Table(
        columns=RECORDS,
        rows=tuple(
            (
                result.reference,
                finding.severity,
                finding.code,
                finding.message,
                " ".join(finding.tensors),
                _cell(finding.expected),
                _cell(finding.actual),
                " ".join(finding.config),
                finding.hint,
            )
            for result in results
            for finding in result.findings
        ),
    )


def _cell(value: object) -> Cell:
    """A number as it is, all else as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return "" if value is None else str(value)
