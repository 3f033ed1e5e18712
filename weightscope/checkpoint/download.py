"""Have a model of the Hub here: which files that takes and how many bytes, and to fetch them as its client does."""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weightscope.checkpoint.background import Background
from weightscope.checkpoint.cached import cache_folder, in_cache, is_offline
from weightscope.checkpoint.find import OfflineError, on_hub
from weightscope.checkpoint.locate import locate_file, locate_in
from weightscope.checkpoint.reference import Address, Reference
from weightscope.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from weightscope.checkpoint.hub import HubFolder

Progress = Callable[[int, int, str], None]

# Beside weights, index and config: tokenizers, generation settings, templates.
BESIDE = (".json", ".txt", ".model", ".tiktoken", ".jinja")
MAX_BESIDE = 200_000_000
# Large files at a time: one alone rarely fills the line.
FILES = 4
MEGABYTE = 1_000_000


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fetched: the files that the local cache lacks, and the bytes that they have together."""

    reference: str
    bytes: int
    files: tuple[str, ...]
    path: Path


def plan_download(reference: Reference, variant: str | None = None) -> tuple[Download, HubFolder | None]:
    """What must be fetched so that all of a model is here; no files where nothing must.

    Raises:
        RemoteError: the Hub cannot be asked, or has no such model.
        UsageError: it is not on the Hub.
    """
    if isinstance(reference, Address):
        raise UsageError(
            "only models on the Hub can be downloaded",
            where=reference.shown,
            hint="download the files and give their path",
        )
    if cached := in_cache(reference, variant):
        folder, name = cached
        return Download(reference=reference.title, bytes=0, files=(), path=folder.path / name), None
    if is_offline():
        raise OfflineError(
            "not complete in the local Hugging Face cache",
            where=reference.title,
            hint="HF_HUB_OFFLINE is set; unset it to download the model",
        )
    hub, name = on_hub(reference)
    location = locate_file(hub, name, variant) if name else locate_in(hub, variant)
    wanted = {path.relative_to(hub.path).as_posix() for path in location.weights}
    if location.index:
        wanted.add(location.index.path.relative_to(hub.path).as_posix())
    wanted |= {
        other
        for other in hub.names()
        if other.endswith(BESIDE) and not other.endswith(".index.json") and hub.holds(other)
        and hub.size_of(other) <= MAX_BESIDE
    }  # fmt: skip
    lacking = sorted(file for file in wanted if not hub.is_here(file))
    size = sum(map(hub.size_of, lacking))
    return Download(reference=reference.title, bytes=size, files=tuple(lacking), path=hub.path / name), hub


def download(plan: Download, hub: HubFolder | None, progress: Progress | None = None) -> Path:
    """Fetch what a plan names; the path at which the model then is.

    Raises:
        RemoteError: a file cannot be had; what came completely stays in the cache, nothing else does.
    """
    if hub is None or not plan.files:
        return plan.path
    _hold_room(plan)
    counting = _Counting()
    pool = Background(FILES)
    futures = {pool.submit(hub.download, name, counting.bar): name for name in plan.files}
    try:
        _watch(set(futures), plan, counting, progress)
    except BaseException:
        counting.stop.set()
        pool.cancel()
        hub.close()
        pool.close()
        hub.sweep(tuple(name for future, name in futures.items() if not _came(future)))
        raise
    return plan.path


def _hold_room(plan: Download) -> None:
    """Ask for no more than fits: a server may list what it likes."""
    folder = cache_folder()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if plan.bytes > free:
        raise RemoteError(
            f"has {plan.bytes:,} bytes to fetch, but the cache's disk has only {free:,} free",
            where=plan.reference, hint="free some space, or set HF_HOME to a larger disk",
        )  # fmt: skip


def _came(future: Future[Path]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _watch(futures: set[Future[Path]], plan: Download, counting: _Counting, progress: Progress | None) -> None:
    while futures:
        done, futures = wait(futures, timeout=0.2, return_when="FIRST_COMPLETED")
        for future in done:
            future.result()
        if progress:
            left = f"MB of {len(plan.files):,} files"
            progress(min(counting.received, plan.bytes) // MEGABYTE, math.ceil(plan.bytes / MEGABYTE), left)


class _Counting:
    """Bytes that came, over all threads; `stop` ends them at the next ones."""

    def __init__(self) -> None:
        self.received = 0
        self.stop = threading.Event()
        self._lock = threading.Lock()

    def bar(self, received: float) -> None:
        """So many more."""
        if self.stop.is_set():
            raise RemoteError("cancelled")
        with self._lock:
            self.received += int(received)
