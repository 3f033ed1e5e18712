"""A file of the Hub as huggingface_hub downloads and caches it: its waits bounded, its warnings and bars not shown."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from huggingface_hub import constants
from huggingface_hub.file_download import hf_hub_download
from huggingface_hub.utils import get_session

from weightscope.checkpoint.wire import BUSY, WAITS, failure
from weightscope.errors import RemoteError, Where

# Seconds that huggingface_hub may go on trying for a small file.
PATIENCE = 20.0

_limits = threading.local()


def fetch(repo: str, name: str, revision: str, where: Where, *, patience: float, bar: type[Silent]) -> Path:
    """The file in the local cache.

    Raises:
        RemoteError: it cannot be had.
    """
    with _in_time(patience):
        try:
            return Path(
                hf_hub_download(
                    repo,
                    name,
                    revision=revision,
                    library_name="weightscope",
                    etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
                    tqdm_class=bar,
                )
            )
        except Exception as error:  # noqa: BLE001 - it raises OSError, ValueError and its client's errors alike
            raise failure(error, where) from None


class Silent:
    """What huggingface_hub takes for a progress bar; nothing is shown."""

    def __init__(self, *_: Any, **options: Any) -> None:
        self.total = options.get("total")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, received: float | None = 1) -> None:
        """So many bytes more."""

    def close(self) -> None:
        """The file is complete."""

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:  # noqa: FBT001, FBT002 - the name is theirs
        """How fast it goes."""


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Let huggingface_hub's own repetitions in this thread end by then, and no single wait be longer than usual.

    What it warns of on the way is not shown: what fails in the end is told in our words.
    """
    for handler in logging.getLogger("huggingface_hub").handlers:
        handler.addFilter(_unless_ours)
    session = get_session()
    hooks = session.event_hooks
    if _hurry not in hooks["request"]:
        session.event_hooks = {
            "request": [*hooks["request"], _hurry],
            "response": [*hooks["response"], _lose_patience],
        }
    _limits.end, _limits.refusals = time.monotonic() + seconds, 0
    try:
        yield
    finally:
        _limits.end = None


def _unless_ours(_: logging.LogRecord) -> bool:
    return getattr(_limits, "end", None) is None


def _hurry(request: Any) -> None:
    end = getattr(_limits, "end", None)
    if end is None:
        return
    left = end - time.monotonic()
    if left <= 0:
        raise RemoteError("the server does not answer in time")
    most = min(left, constants.HF_HUB_DOWNLOAD_TIMEOUT)
    timeout = request.extensions.get("timeout") or {}
    request.extensions["timeout"] = {
        kind: min(timeout.get(kind) or most, most) for kind in ("connect", "read", "write", "pool")
    }


def _lose_patience(response: Any) -> None:
    if getattr(_limits, "end", None) is None or response.status_code not in BUSY:
        return
    _limits.refusals += 1
    if _limits.refusals > len(WAITS):
        raise RemoteError(f"the server answers {response.status_code} ({_limits.refusals} times)")
