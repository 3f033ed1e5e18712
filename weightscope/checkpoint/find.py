"""From what a person names to the folder that is meant: the local Hugging Face cache first, then the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.cached import cached_commit, in_cache, is_offline
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.header_cache import load_listing
from weightscope.checkpoint.reference import Address, HubReference, Reference
from weightscope.errors import RemoteError

if TYPE_CHECKING:
    from weightscope.checkpoint.hub import HubFolder


class OfflineError(RemoteError):
    """The local cache lacks it, and the user wants no network."""


def find(reference: Reference, variant: str | None = None) -> tuple[Folder, str]:
    """The folder that a reference means, and the file in it where it means one.

    Raises:
        RemoteError: it cannot be reached.
        UsageError: it holds nothing of that name.
    """
    if isinstance(reference, HubReference):
        return in_cache(reference, variant) or (offline(reference) if is_offline() else on_hub(reference))
    return _at(reference)


def _at(address: Address) -> tuple[Folder, str]:
    if address.scheme in ("http", "https"):
        from weightscope.checkpoint.web import WebFolder

        site = WebFolder(address)
        return site, site.name
    from weightscope.checkpoint.stores import StoreFolder

    store = StoreFolder(address)
    return store, store.name


def on_hub(reference: HubReference) -> tuple[HubFolder, str]:
    """The same over the network; what the local cache has of it is read there.

    Raises:
        RemoteError: it cannot be reached.
        UsageError: it holds nothing of that name.
    """
    from weightscope.checkpoint.background import Background
    from weightscope.checkpoint.listing import list_files
    from weightscope.checkpoint.wire import Wire

    wire, pool = Wire(), Background(1)
    listing = pool.submit(list_files, reference, wire)
    try:
        # What takes long to import is imported while the server is waited for.
        from weightscope.checkpoint.hub import folder_of

        return folder_of(reference, listing.result())
    finally:
        wire.cut()
        pool.close()


def offline(reference: HubReference) -> tuple[Folder, str]:
    """What is left of it without a network: headers that were fetched before, or a part of a download.

    Raises:
        OfflineError: nothing is.
    """
    commit = cached_commit(reference)
    listing = load_listing(reference.repo, commit) if commit else None
    if listing:
        from weightscope.checkpoint.hub import folder_of

        return folder_of(reference, listing)
    partly = in_cache(reference, partly=True)
    if partly is None:
        raise OfflineError(
            "not in the local Hugging Face cache",
            where=reference.title,
            hint="HF_HUB_OFFLINE is set; unset it to ask the Hub",
        )
    return partly
