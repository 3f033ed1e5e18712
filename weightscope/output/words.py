"""Numbers as people read them."""

from __future__ import annotations

from weightscope.brief import plural as plural  # noqa: PLC0414 - a word beside the others

# From here on a number is read faster in the field's units.
MANY = 1_000_000
EIGHTHS = " ▏▎▍▌▋▊▉"


def count(number: int) -> str:
    """8,030,261,248."""
    return f"{number:,}"


def amount(number: int, *, exact: bool = False) -> str:
    """8.03 B, or with all digits; what is below a million has them anyway."""
    return count(number) if exact or number < MANY else short(number)


def short(number: int) -> str:
    """8.03 B: three figures and the field's suffix."""
    return _scaled(number, 1000, ("", " K", " M", " B", " T", " P", " E"))


def size(number: int, *, exact: bool = False) -> str:
    """16.1 GB, in powers of 1000 as disks and the Hub count; exact: 16,060,522,496 B."""
    if exact:
        return f"{number:,} B"
    return _scaled(number, 1000, (" B", " kB", " MB", " GB", " TB", " PB"))


def percent(share: float) -> str:
    """6.5 %; what is there but rounds to nothing is < 0.1 %, and what is not all of it is never 100.0 %."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{decimal(share * 100, 1)} %"


def decimal(number: float, digits: int) -> str:
    """So many digits after the point; what rounds to nothing has no sign."""
    text = f"{number:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text


def bar(share: float, width: int) -> str:
    """A bar of blocks, exact to an eighth; something is visible of every share above zero."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(max(eighths, 1) if share > 0 else 0, 8)
    return "█" * full + (EIGHTHS[rest] if rest else "")


def _scaled(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    if number < base:
        return f"{number:,}{suffixes[0]}"
    value, place = number / base, 1
    # 999.5 and more would be rounded to the next suffix's 1.
    while value >= base - 0.5 and place < len(suffixes) - 1:
        value, place = value / base, place + 1
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f}{suffixes[place]}"
