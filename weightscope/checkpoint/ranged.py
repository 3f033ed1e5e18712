"""A file that is elsewhere: slices are fetched when asked for, with what will likely be asked for next, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weightscope.errors import RemoteError, Where

# The most that is fetched of one file: as much as the longest header that safetensors allows, and a pickle beside it.
MAX_FETCHED = 256_000_000
# What a slice that nobody foresaw is rounded up to: a round trip costs more than this takes.
LEAST = 1 << 12
# Requests for one file: a header takes two, a pickle in a zip three or four.
MAX_REQUESTS = 100

Span = tuple[int, bytes]


class RangedFile:
    """Slices of a file of `size` bytes; `fetch(start, stop)` gets them over the network.

    The first slice from the beginning fetches `head` bytes, and the first from the end `tail`: a header that fits the
    guess costs one request, one that does not costs another for what is missing. `fetched` counts bytes, `etag` is for
    whoever made the file to remember what names its content.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], bytes],
        size: int,
        where: Where,
        *,
        head: int = LEAST,
        tail: int = LEAST,
        spans: Iterable[Span] = (),
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._where = where
        self._head = head
        self._tail = tail
        self.spans: list[Span] = list(spans)
        self.fetched = 0
        self._requests = 0
        self.etag = ""

    @property
    def fetch(self) -> Callable[[int, int], bytes]:
        """What gets bytes of it; they are neither kept nor counted."""
        return self._fetch

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        if stop <= start:
            return b""
        number = next((n for n, (at, data) in enumerate(self.spans) if at <= start <= at + len(data)), None)
        if number is None:
            self.spans.append(self._new(start, stop))
            number = len(self.spans) - 1
        at, data = self.spans[number]
        if stop > at + len(data):
            data += self._get(at + len(data), stop)
            self.spans[number] = (at, data)
        return data[start - at : stop - at]

    def _new(self, start: int, stop: int) -> Span:
        """A span that holds the slice, and of the file's beginning or end as much as was guessed."""
        guess = self._head if start == 0 else LEAST
        if self._size - start <= self._tail:
            start = self._size - min(self._tail, self._size)
        end = min(self._size, max(stop, start + guess))
        return start, self._get(start, end)

    def _get(self, start: int, stop: int) -> bytes:
        self.fetched += stop - start
        self._requests += 1
        if self.fetched > MAX_FETCHED or self._requests > MAX_REQUESTS:
            most = f"{MAX_FETCHED:,} bytes" if self.fetched > MAX_FETCHED else f"{MAX_REQUESTS} requests"
            raise RemoteError(
                f"its header would take more than {most} to fetch",
                where=self._where,
                hint="download the file to look at it",
            )
        data = self._fetch(start, stop)
        if len(data) != stop - start:
            raise RemoteError(
                f"{len(data):,} bytes were received of {stop - start:,}", where=self._where, hint="try again later"
            )
        return data
