"""Download a model: which files are missing locally, and their size in bytes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from weightscope.api.naming import asking_for, elsewhere, require_path
from weightscope.checkpoint.reader import Progress


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What would have to be fetched before a model's values can be read; only models of the Hub are `downloadable`."""

    reference: str
    bytes: int
    files: int
    downloadable: bool = True

    def agreeable(self, times: int = 1) -> str:
        """A size to agree to for reading it so many times over the network, as --stream takes it."""
        from weightscope.checkpoint.streamed import agreeable

        return agreeable(self.bytes * times)


def what_is_missing(path: str, variant: str | None = None) -> Missing | None:
    """What `download` would fetch; None for what is here: a path, or a model of which the local cache has all.

    Raises:
        WeightscopeError: there is no such model, or it cannot be asked for.
    """
    reference = elsewhere(path)
    if reference is None:
        return None
    from weightscope.checkpoint.download import plan_download

    with asking_for(path):
        plan, _ = plan_download(reference, variant)
    return Missing(reference=plan.reference, bytes=plan.bytes, files=len(plan.files)) if plan.files else None


def values_elsewhere(path: str, variant: str | None = None) -> Missing | None:
    """What would have to be read over the network; None where all is here. A web address counts as well.

    Raises:
        WeightscopeError: there is no such model, or it cannot be asked for.
    """
    if (reference := elsewhere(path)) is None:
        return None
    from weightscope.checkpoint.reference import Address

    if not isinstance(reference, Address):
        return what_is_missing(path, variant)
    from weightscope.api.opening import open_model
    from weightscope.checkpoint.streaming import bytes_elsewhere

    checkpoint = open_model(path, variant=variant).checkpoint
    size, files = bytes_elsewhere(checkpoint), sum(bool(file.remote) for file in checkpoint.files)
    return Missing(reference=reference.shown, bytes=size, files=files, downloadable=False)


def download(path: str | Path, variant: str | None = None, progress: Progress | None = None) -> Path:
    """Download the missing files of a Hub model into the local Hugging Face cache, and return its path there.

    Weights of one format, config, index and tokenizer are fetched, not all that the repository holds.

    Args:
        path: a repository of the Hub (`org/name@revision`); a path that exists is returned unchanged.
        variant: the infix of `model.fp16.safetensors`, where a repository holds several.
        progress: called with (megabytes done, megabytes in all, what is left in words).

    Raises:
        WeightscopeError: there is no such model, or a file cannot be had.
    """
    reference = elsewhere(str(path))
    if reference is None:
        require_path(str(path))
        return Path(path)
    from weightscope.checkpoint.download import download as fetch
    from weightscope.checkpoint.download import plan_download

    with asking_for(str(path)):
        plan, hub = plan_download(reference, variant)
    return fetch(plan, hub, progress)
