"""How objects show themselves in Python: on one line, without contents that are long, private or an address."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath

import msgspec

from weightscope.errors import UnknownAttributeError

# Characters of a text, and items of a collection, that are shown.
TEXT = 80
ITEMS = 4
TYPE_CHECKING = False


def brief(record: msgspec.Struct) -> str:
    """`Name(field=value, …)`; fields that are empty are left out, and long ones are counted."""
    pairs = ((field, getattr(record, field)) for field in record.__struct_fields__)
    shown = ", ".join(f"{field}={_shown(value)}" for field, value in pairs if not _is_empty(value))
    return f"{type(record).__name__}({shown})"


def plural(number: int, noun: str) -> str:
    """1 tensor, 4 tensors."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clipped(text: str) -> str:
    """A text in quotes, its control characters spelled out; the end of a long one is left out."""
    return repr(text if len(text) <= TEXT else f"{text[: TEXT - 1]}…")


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, Collection) and not value)


def _shown(value: object) -> str:
    match value:
        case PurePath():
            shown = clipped(value.name)
        case str():
            shown = clipped(str(value))
        case float():
            shown = f"{value:.6g}"
        case int():
            shown = repr(int(value)) if not isinstance(value, bool) else repr(value)
        case tuple() if len(value) <= ITEMS and all(isinstance(item, str | int | float) for item in value):
            shown = f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
        case Collection():
            shown = f"<{plural(len(value), 'item')}>"
        case _:
            shown = f"<{type(value).__name__}>"
    return shown


class Displayed:
    """A notebook shows it as HTML."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        # The only import from here upwards, and only when something is displayed.
        from weightscope.display import html_of

        return html_of(self)


class Suggesting:
    """Asking for an attribute that there is not names the one that is most like it."""

    __slots__ = ()

    # Type checkers are to see a misspelt attribute, and would see none with this method.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if hasattr(type(self), name):
                # A property whose own code asked for an attribute that there is not: that is the error.
                return object.__getattribute__(self, name)
            raise UnknownAttributeError.of(f"{type(self).__name__} has no attribute", name, dir(self))
