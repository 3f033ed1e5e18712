"""HTTP clients as huggingface_hub makes them, one for each request that is under way."""

from __future__ import annotations

import ssl
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from huggingface_hub.utils import get_session

from weightscope.checkpoint.failures import ClientError
from weightscope.errors import UsageError

Hooks = Mapping[str, list[Callable[[Any], None]]]

# The library whose client huggingface_hub uses.
_http = import_module(ClientError.__module__.partition(".")[0])
_lock = threading.Lock()
_contexts: list[ssl.SSLContext] = []


class Clients:
    """Clients that are lent, each to one thread at a time, and keep their connections until they are closed.

    A client that threads share looks at all its connections before each request, and closes those beyond twenty: with
    two hosts and 32 threads that takes longer than all else. Proxies, certificates, redirects and what becomes of a
    token on the way are the library's own, as in huggingface_hub's client.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._free: list[Any] = []
        weakref.finalize(self, _close, self._free)

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """A client for this thread.

        Raises:
            UsageError: a proxy or a certificate that variables name cannot be used.
        """
        if _is_customized():
            yield shared(self._hooks)
            return
        try:
            client = self._free.pop()
        except IndexError:
            client = _new(self._hooks)
        try:
            yield client
        finally:
            self._free.append(client)

    def close(self) -> None:
        """Close the connections of those that are not lent."""
        _close(self._free)


def _close(clients: list[Any]) -> None:
    while clients:
        clients.pop().close()


def shared(hooks: Hooks) -> Any:
    """The client that huggingface_hub uses, with these hooks as well.

    Raises:
        UsageError: a proxy or a certificate that variables name cannot be used.
    """
    client = _made(get_session)
    there = client.event_hooks
    more = {event: [hook for hook in hooks[event] if hook not in there[event]] for event in hooks}
    if any(more.values()):
        client.event_hooks = {event: [*there[event], *more[event]] for event in hooks}
    return client


def _is_customized() -> bool:
    """Whether somebody gave huggingface_hub a client of their own making, which is then used for all requests."""
    module = import_module(get_session.__module__)
    return getattr(module, "_GLOBAL_CLIENT_FACTORY", None) is not getattr(module, "default_client_factory", "")


def _new(hooks: Hooks) -> Any:
    context = _made(_context)
    return _made(lambda: _http.Client(verify=context, follow_redirects=True, timeout=None, event_hooks=hooks))


def _context() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes as long as twenty requests."""
    with _lock:
        if not _contexts:
            _contexts.append(_http.create_ssl_context())
        return _contexts[0]


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(
            f"the HTTP client cannot be set up ({error})", hint="see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE"
        ) from None
