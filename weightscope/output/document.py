"""What every command says, before anyone decided how: facts, a table, findings, and the object behind them."""

from __future__ import annotations

from typing import Literal

import msgspec

from weightscope.findings import Finding

Kind = Literal["text", "name", "count", "amount", "bytes", "share", "number"]
Cell = str | int | float | None
Weight = Literal["strong", "plain", "faint"]
Verdict = Literal["ok", "failed"]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and what stands below it: words, names, shares of a whole, numbers, and counts of several kinds.

    A `count` is shown with all its digits, an `amount` (parameters) and `bytes` in the units of people.
    """

    title: str
    kind: Kind = "text"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of raw values; `weights` say how much each matters. A share column is drawn with a bar beside it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    weights: tuple[Weight, ...] = ()
    bars: bool = False


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`data` is what JSON shows. `records` is the flat table for CSV where `table` groups its rows for people.

    `verdict` stands first after the title, where there is one. `exact` shows amounts and bytes with all their digits.
    """

    data: object
    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    table: Table = Table(columns=(), rows=())
    records: Table | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    closing: str = ""
    exact: bool = False
    verdict: Verdict | None = None
