"""What a text names: a path, a repository of the Hub or an address; and what to say where there is no such thing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from weightscope.errors import RemoteError

if TYPE_CHECKING:
    from weightscope.checkpoint.reference import Reference

ON_THE_HUB = "a model on the Hugging Face Hub is named org/name"


def elsewhere(text: str) -> Reference | None:
    """The repository or address that a text names; None for a path.

    A path that exists is always meant. Only `org/name` may be both: it is a path where there is a folder `org` here.

    Raises:
        UsageError: the text begins as an address and is none.
    """
    if "/" not in text or ("://" not in text and (os.path.lexists(text) or _begins_here(text))):
        return None
    from weightscope.checkpoint.reference import parse

    return parse(text)


def require_path(text: str) -> None:
    """Refuse a text that names neither a path here nor anything elsewhere.

    Raises:
        UsageError: there is no such path; the message names the existing one that is most like it.
    """
    if not os.path.lexists(text):
        from weightscope.checkpoint.absent import no_such_path

        raise no_such_path(text, _other_meaning(text))


@contextmanager
def asking_for(text: str) -> Iterator[None]:
    """Errors of the Hub about `org/name` say as well that there is no such path."""
    try:
        yield
    except RemoteError as error:
        raise (error if "://" in text else _as_path_too(text, error)) from None


def shown(text: str) -> str:
    """What was named, without what an address should not show: a password, a signature."""
    if "://" not in text:
        return text
    from weightscope.checkpoint.reference import Address

    return Address(url=text, scheme="").shown


def _begins_here(text: str) -> bool:
    first = text.partition("/")[0]
    return os.path.isdir(first) or os.path.islink(first)


def _other_meaning(text: str) -> str:
    """The hint of how a model on the Hub is named, where the text may have meant one."""
    from weightscope.checkpoint.reference import is_file, parse

    if "/" in text:
        return f"to ask the Hugging Face Hub, write hf://{text}" if parse(text) else ""
    is_path = text.startswith((".", "~")) or "\\" in text or is_file(text)
    return "" if is_path else ON_THE_HUB


def _as_path_too(text: str, error: RemoteError) -> RemoteError:
    from weightscope.checkpoint.absent import nearest, suggesting
    from weightscope.checkpoint.failures import NoRepositoryError, RefusedError
    from weightscope.checkpoint.find import OfflineError
    from weightscope.checkpoint.hub_settings import settings

    if isinstance(error, RefusedError):
        return error
    what = f"no such path, and {error.what}"
    if not isinstance(error, NoRepositoryError | OfflineError):
        what = f"no such path, and asking the Hub ({settings().ENDPOINT}) failed: {error.what}"
    return RemoteError(what, where=error.where, hint=suggesting(nearest(text), error.hint))
