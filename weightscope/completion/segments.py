"""Long dotted names a part at a time: of 90,000 tensors nobody wants a list."""

from __future__ import annotations

from collections.abc import Iterable

from weightscope.completion.offered import going_on


def next_parts(names: Iterable[str], begun: str) -> list[str]:
    """The names as far as the next dot after what is typed; whole ones where nothing else begins like them.

    Where all go on alike, the step after that: a shell puts a space behind a completion that is the only one.
    """
    fitting = going_on(names, begun)
    length = len(begun)
    while True:
        parts: dict[str, str] = {}
        for name in fitting:
            end = name.find(".", length) + 1
            part = name[:end] if end else name
            # Of a part that only one name has, the name itself.
            parts[part] = name if part not in parts else part
        if len(parts) != 1 or len(fitting) == 1:
            return list(parts.values())
        length = len(next(iter(parts)))
