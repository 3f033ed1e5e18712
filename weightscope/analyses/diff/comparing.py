"""Compare the values of many weights, with all cores; whoever asks may stop it at any time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, local

from msgspec.structs import replace

from weightscope.analyses.diff.pair import Opened
from weightscope.analyses.diff.ranks import rank_of
from weightscope.analyses.diff.result import RoleDiff, WeightDiff
from weightscope.analyses.diff.sides import Reader
from weightscope.analyses.diff.values import Sums, compare
from weightscope.checkpoint.array_types import import_numpy, need_torch, numpy_dtype
from weightscope.checkpoint.dtypes import FLOATS
from weightscope.checkpoint.reader import Progress
from weightscope.checkpoint.streaming import is_streamed
from weightscope.errors import RemoteError

# If none of so many changed matrices is of low rank, no merge of an adapter is looked for. Of narrower ones (routers,
# heads of few classes) a low rank may not be told from a full one.
TRIED, NARROW = 3, 64
FINEST_FIRST = ("F64", "F32", "F16", "BF16")
Compared = tuple[WeightDiff, Sums]


def compare_all(
    a: Opened, b: Opened, addresses: Sequence[str], progress: Progress | None, stop: Event
) -> Iterator[Compared]:
    """Each weight, until `stop` is set, in the order of the files of A, or of B where that alone is elsewhere.

    `progress` is called with bytes of both.
    """
    if not addresses:
        return
    import_numpy()
    if any(not side.weights[address].direct for side in (a, b) for address in addresses):
        need_torch()
    readers = _Readers(a, b)
    b_alone = is_streamed(b.checkpoint) and not is_streamed(a.checkpoint)
    addresses = _by_file(b if b_alone else a, addresses)
    sizes = [_bytes(a, addresses), _bytes(b, addresses)]
    done, total = 0, sum(sum(side.values()) for side in sizes)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="weightscope-diff") as pool:

        def look(address: str) -> Compared | None:
            if stop.is_set():
                return None
            left, right = readers.mine()
            try:
                return compare(left, a.weights[address], right, b.weights[address])
            except RemoteError:
                # Whoever stops cuts the connections as well.
                if stop.is_set():
                    return None
                raise

        try:
            for address, found in zip(addresses, pool.map(look, addresses), strict=True):
                if found is None or stop.is_set():
                    return
                done += sum(side[address] for side in sizes)
                if progress:
                    progress(done, total, address)
                yield found
        finally:
            pool.shutdown(cancel_futures=True)


def _by_file(side: Opened, addresses: Sequence[str]) -> list[str]:
    units = side.holdings.by_file(side.checkpoint)
    places = {held.address: place for place, unit in enumerate(units) for held in unit.held}
    return sorted(addresses, key=places.__getitem__)


def _bytes(side: Opened, addresses: Sequence[str]) -> dict[str, int]:
    """The stored bytes of each weight; of a tensor that several share, each has the same part."""
    tensors = side.checkpoint.tensors
    sharing = Counter(name for address in addresses for name in side.weights[address].names)
    return {
        address: sum(
            (tensors[name].data_offsets[1] - tensors[name].data_offsets[0]) // sharing[name]
            for name in side.weights[address].names
            if name in tensors
        )
        for address in addresses
    }


class _Readers:
    """A reader of each side for each thread: what one keeps, no other may change."""

    def __init__(self, a: Opened, b: Opened) -> None:
        self._sides = (a, b)
        self._local = local()

    def mine(self) -> tuple[Reader, Reader]:
        """Those of this thread."""
        if not hasattr(self._local, "readers"):
            self._local.readers = tuple(side.reader() for side in self._sides)
        left, right = self._local.readers
        return left, right


def with_ranks(a: Opened, b: Opened, compared: Sequence[Compared], stop: Event) -> list[Compared]:
    """The same with the rank of each difference, if all that changed are matrices, and the first few have a low one."""
    changed = [value for value, _ in compared if not value.equal]
    if not changed or not all(_may_have_rank(a, b, value) for value in changed):
        return list(compared)
    left, right = a.reader(), b.reader()
    ranks: dict[str, int | None] = {}
    tried = 0
    for value in sorted(changed, key=lambda value: value.elements):
        if stop.is_set():
            return list(compared)
        if tried >= TRIED and all(rank is None for rank in ranks.values()):
            break
        held_a, held_b = a.weights[value.address], b.weights[value.address]
        coarsest = numpy_dtype(max(held_a.dtype, held_b.dtype, key=FINEST_FIRST.index), b.checkpoint.path)
        tried += min(held_a.shape) >= NARROW
        ranks[value.address] = rank_of(left.matrix(held_a), right.matrix(held_b), coarsest)
    return [(replace(value, rank=ranks.get(value.address)), sums) for value, sums in compared]


def _may_have_rank(a: Opened, b: Opened, value: WeightDiff) -> bool:
    held, other = a.weights[value.address], b.weights[value.address]
    floats = held.dtype in FLOATS and other.dtype in FLOATS
    return floats and len(held.shape) == 2 and held.shape == other.shape and not value.rounded


def by_role(compared: Sequence[Compared]) -> Iterator[RoleDiff]:
    """All weights of a role together, in the order of the forward pass."""
    roles: dict[tuple[str, str], list[Compared]] = {}
    for value, sums in compared:
        roles.setdefault((value.component, value.role), []).append((value, sums))
    for (component, role), members in roles.items():
        whole = Sums()
        for _, sums in members:
            whole += sums
        ranks = [value.rank for value, _ in members if value.rank is not None]
        yield RoleDiff(
            role=role,
            component=component,
            weights=len(members),
            equal=sum(value.equal for value, _ in members),
            relative=whole.relative,
            cosine=whole.cosine,
            largest=None if whole.apart else whole.largest,
            rank=max(ranks, default=None),
        )
