"""What a client may name: paths below the folders that the user allowed, and models of the Hub if they are allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from weightscope.api.naming import shown
from weightscope.errors import UsageError, Where


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """Folders, by their real paths; whether models of the Hugging Face Hub may be read too."""

    folders: tuple[str, ...] = ()
    hub: bool = False

    @classmethod
    def of(cls, folders: Iterable[Where], *, hub: bool) -> Allowed:
        """From what the user wrote.

        Raises:
            UsageError: one is no folder, or nothing is allowed.
        """
        real = []
        for folder in folders:
            if not os.path.isdir(folder):
                raise UsageError("--allow names no folder", where=folder, hint="create it, or correct the path")
            real.append(os.path.realpath(folder))
        if not real and not hub:
            raise UsageError("nothing is allowed", hint="name the folders that clients may read: --allow DIR")
        return cls(folders=tuple(dict.fromkeys(real)), hub=hub)

    def holds(self, path: str) -> bool:
        """Whether a path lies in one of the folders, wherever its links lead."""
        real = os.path.realpath(path)
        return any(lies_in(real, folder) for folder in self.folders)

    def model(self, text: str) -> str:
        """An absolute path or an hf:// address for what a client named.

        Raises:
            UsageError: it names nothing that is allowed.
        """
        if "://" not in text:
            path = self._path(text)
            if path is not None:
                return path
        elif not text.startswith("hf://"):
            raise UsageError("addresses are not allowed", where=shown(text), hint=self._hint())
        if not self.hub:
            raise UsageError("no such path in the allowed folders", where=text, hint=self._hint())
        from weightscope.checkpoint.reference import HubReference, parse

        reference = parse(text)
        if not isinstance(reference, HubReference):
            raise UsageError("no such path in the allowed folders, and no name of a model on the Hub", where=text)
        return reference.address

    def file(self, text: str) -> str:
        """The absolute path of a file that a client named.

        Raises:
            UsageError: it is none, or lies elsewhere.
        """
        path = self._path(text)
        if path is None or not os.path.isfile(path):
            raise UsageError("no such file in the allowed folders", where=text, hint=self._hint())
        return path

    def _path(self, text: str) -> str | None:
        """The absolute path; a relative one is looked up in each folder. None if it is relative and not there.

        What lies elsewhere is refused in the same words, whether it is there or not.
        """
        if not text or "\0" in text:
            raise UsageError("the path is empty or has a NUL in it")
        for folder in self.folders:
            path = os.path.abspath(os.path.join(folder, text))
            if not self.holds(path):
                raise UsageError("outside the allowed folders", where=text, hint=self._hint())
            if os.path.isabs(text) or os.path.lexists(path):
                return path
        if os.path.isabs(text):
            raise UsageError("outside the allowed folders", where=text, hint=self._hint())
        return None

    def _hint(self) -> str:
        folders = ", ".join(self.folders) or "none"
        return f"allowed folders: {folders}" + ("" if self.hub else "; the Hub is not allowed")


def lies_in(path: str, folder: str) -> bool:
    """Whether a real path is that of a folder or of something in it."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
