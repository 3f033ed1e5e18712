"""JSON with a list that is too long to hold: written as its items come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from weightscope.escapes import json_text

# Items that are encoded together: their text is short enough to take the memory that the last one had.
TOGETHER = 200


class Streamed(msgspec.Struct, frozen=True):
    """A JSON object: what is in its `head`, and last under `key` a list of `items`, which are gone through once."""

    head: dict[str, object]
    key: str
    items: Iterable[object]

    def parts(self) -> Iterator[str]:
        """Its text in pieces; together they are what `json_text` writes of the whole."""
        before, after = json_text({self.key: [0]}).rsplit("0", 1)
        opened, closed = json_text({**self.head, self.key: [0]}).rsplit("0", 1)
        items, separator = iter(self.items), opened
        while some := list(islice(items, TOGETHER)):
            yield separator
            yield json_text({self.key: some})[len(before) : -len(after)]
            separator = f",{before[before.rindex(chr(10)) :]}"
        yield json_text({**self.head, self.key: []}) if separator is opened else closed


def whole(data: object) -> object:
    """The data, with all items where they are streamed."""
    return {**data.head, data.key: list(data.items)} if isinstance(data, Streamed) else data
