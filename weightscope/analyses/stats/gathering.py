"""Go through all values once, with all cores, in the order of the files; whoever asks may stop it at any time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import TypeVar

import msgspec

from weightscope.analyses.stats.figures import Sums
from weightscope.analyses.stats.reading import Part, Source, chunks, parts_of
from weightscope.analyses.stats.tally import tally_of
from weightscope.analyses.stats.zeros import Zeros
from weightscope.checkpoint.array_types import import_numpy
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.checkpoint.streaming import is_streamed, sampled
from weightscope.errors import CheckpointError, RemoteError

T = TypeVar("T")

# Threads that mostly wait for small pieces of a file elsewhere.
WAITING = 16


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a tensor: sums, where its zeros lie (None of a vector or a sample), its shape as it acts.

    `error` is set where it could not be read.
    """

    source: Source
    sums: Sums = Sums()
    zeros: Zeros | None = None
    shape: tuple[int, ...] = ()
    error: CheckpointError | None = None


def by_parts(
    sources: Sequence[Source],
    look: Callable[[Source, Part], T],
    *,
    sample: int | None = None,
    progress: Progress | None = None,
    stop: Event,
    threads: int | None = None,
) -> Iterator[tuple[Source, list[T]]]:
    """What `look` says of each part of each tensor in order, until all are seen or `stop` is set.

    Of a `sample` at most so many values of each tensor are looked at. `progress` is called with bytes. There
    are so many `threads`, or one for each core.
    """
    work = [(source, parts_of(source, sample)) for source in sources]
    done, total = 0, sum(part.bytes for _, parts in work for part in parts)
    import_numpy()
    # Imported where it is used: a process in which it is cannot end at once.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="weightscope-values") as pool:
        coming = [(source, [(part, pool.submit(look, source, part)) for part in parts]) for source, parts in work]
        try:
            for source, futures in coming:
                found = []
                for part, future in futures:
                    found.append(future.result())
                    done += part.bytes
                    if progress and not stop.is_set():
                        progress(done, total, source.name)
                if stop.is_set():
                    return
                yield source, found
        except RemoteError:
            # Whoever stops cuts the connections as well.
            if not stop.is_set():
                stop.set()
                raise
        except BaseException:
            # Whoever leaves early wants no more of it.
            stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def gather(
    checkpoint: Checkpoint,
    sources: Sequence[Source],
    *,
    sample: int | None = None,
    progress: Progress | None = None,
    stop: Event,
) -> Iterator[Seen]:
    """All figures of each tensor in order; the rest is as for `by_parts`."""
    checkpoint = checkpoint if sample is None else sampled(checkpoint)
    waits = sample is not None and is_streamed(checkpoint)

    def look(source: Source, part: Part) -> Seen:
        return _look(checkpoint, source, part, stop)

    for _, found in by_parts(
        sources, look, sample=sample, progress=progress, stop=stop, threads=WAITING if waits else None
    ):
        yield _joined(found, sampled=sample is not None)


def _look(checkpoint: Checkpoint, source: Source, part: Part, stop: Event) -> Seen:
    """One part; what is looked at when `stop` is set is not finished."""
    tally, zeros, shape = None, None, source.entry.shape
    rows = 0
    try:
        for chunk in chunks(checkpoint, source, part):
            if stop.is_set():
                break
            tally = tally or tally_of(chunk.dtype, part.bytes)
            empty = tally.add(chunk.reshape(-1))
            if source.scheme is not None:
                rows += chunk.shape[0] if chunk.ndim else 0
                shape = (rows, *chunk.shape[1:])
            if len(shape) > 1:
                zeros = zeros or Zeros(chunk.shape[-1])
                zeros.add(chunk.reshape(-1, chunk.shape[-1]), empty)
    except CheckpointError as error:
        return Seen(source=source, shape=shape, error=error)
    return Seen(source=source, sums=tally.sums if tally else Sums(), zeros=zeros, shape=shape)


def _joined(parts: Sequence[Seen], *, sampled: bool) -> Seen:
    """The parts of one tensor, one below the other."""
    first, *rest = parts
    error = next((part.error for part in parts if part.error), None)
    if error:
        return Seen(source=first.source, shape=first.source.entry.shape, error=error)
    sums, shape = first.sums, first.shape
    for part in rest:
        sums += part.sums
        if first.zeros and part.zeros:
            first.zeros.below(part.zeros)
        if first.source.scheme is not None:
            shape = (shape[0] + part.shape[0], *shape[1:])
    return Seen(source=first.source, sums=sums, zeros=None if sampled else first.zeros, shape=shape)
