"""Where the zeros of a matrix lie: whole rows or columns, and patterns such as 2:4 (two zeros in each four)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np

# n of each m values along a row may be other than zero; the first that fits is said.
PATTERNS = ((1, 4), (2, 4), (4, 8))
GROUPS = (4, 8)


class Structure(msgspec.Struct, frozen=True, kw_only=True):
    """Where the zeros of a matrix lie; of a tensor of more dimensions, its last against all others.

    Attributes:
        dead_rows: rows of zeros only.
        dead_columns: columns of zeros only.
        pattern: `2:4` where of each four values along a row at least two are zero, and so on; None where none fits.
        dead_experts: numbers of the experts of which every value is zero.
        dead_heads: numbers of such heads.
    """

    dead_rows: int = 0
    dead_columns: int = 0
    pattern: str | None = None
    dead_experts: tuple[int, ...] = ()
    dead_heads: tuple[int, ...] = ()


class Zeros:
    """Consecutive rows of a matrix, looked at a few at a time."""

    def __init__(self, columns: int) -> None:
        import numpy as np

        self._rows: list[np.ndarray[Any, Any]] = []
        self._columns = np.zeros(columns, dtype=bool)
        self._least = {size: size if columns and columns % size == 0 else 0 for size in GROUPS}

    def add(self, chunk: np.ndarray[Any, Any], zeros: int) -> None:
        """The next rows, of which so many values are zero: with few of them, little is left to look at."""
        import numpy as np

        rows, columns = chunk.shape
        if zeros < rows:
            self._columns[:] = True
        if 2 * zeros < chunk.size:
            self._least = dict.fromkeys(GROUPS, 0)
        look_at_rows, look_at_columns = zeros >= columns, not self._columns.all()
        there = _nonzero(chunk) if look_at_rows or look_at_columns or any(self._least.values()) else None
        alive = np.ones(rows, dtype=bool)
        self._rows.append(alive)
        if there is None:
            return
        if look_at_rows:
            alive[:] = there.any(axis=1)
        if look_at_columns:
            self._columns |= there.any(axis=0)
        for size, least in self._least.items():
            if least:
                groups = there.reshape(-1, size).sum(axis=1, dtype="u1")
                self._least[size] = min(least, size - int(groups.max(initial=0)))

    def below(self, other: Zeros) -> None:
        """Put further rows of the same matrix below these."""
        self._rows += other._rows
        self._columns |= other._columns
        self._least = {size: min(least, other._least[size]) for size, least in self._least.items()}

    def structure(self, experts: int = 0, heads: tuple[int, int] = (0, 0)) -> Structure:
        """What was found; `experts` are so many equal parts of the rows, `heads` of the rows or of the columns."""
        import numpy as np

        rows = np.concatenate(self._rows) if self._rows else np.zeros(0, dtype=bool)
        by_row, by_column = heads
        dead_heads = _dead(rows, by_row) if by_row else _dead(self._columns, by_column)
        return Structure(
            dead_rows=int((~rows).sum()),
            dead_columns=int((~self._columns).sum()) if rows.size else 0,
            pattern=next((f"{n}:{m}" for n, m in PATTERNS if rows.any() and self._least[m] >= m - n), None),
            dead_experts=_dead(rows, experts),
            dead_heads=dead_heads,
        )


def _dead(alive: np.ndarray[Any, Any], parts: int) -> tuple[int, ...]:
    """Which of so many equal parts have nothing alive."""
    if not parts or not alive.size or alive.size % parts:
        return ()
    return tuple(part for part, of_part in enumerate(alive.reshape(parts, -1)) if not of_part.any())


def _nonzero(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which values are other than zero; NaN is."""
    import numpy as np

    if values.dtype == np.float16 or values.dtype.name == "bfloat16":
        # To compare bfloat16 as such takes ten times as long.
        values = values.view(np.uint16) & np.uint16(0x7FFF)
    there: np.ndarray[Any, Any] = values != 0
    return there
