"""What to say of a path that does not exist: why, and which existing path is most like it."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from weightscope.errors import UsageError

# Of a folder with more names than this, the first ones are compared.
COMPARED = 5_000
# How alike two names are at least, from 0 to 1; difflib's own default.
ALIKE = 0.6
ABSENT = (errno.ENOENT, errno.ENOTDIR)


def no_such_path(path: str | Path, hint: str = "") -> UsageError:
    """The error for a path that cannot be opened; `hint` says what else the text may have meant."""
    text = os.fspath(path)
    what = _reason(text)
    return UsageError(what, where=text, hint=suggesting(nearest(text), hint) or "check the path")


def suggesting(path: str | None, hint: str) -> str:
    """The hint, after the question whether this path was meant."""
    return f"did you mean {quoted(path)}? {hint[:1].upper()}{hint[1:]}".rstrip() if path else hint


def _reason(text: str) -> str:
    try:
        os.stat(text)
    except ValueError:
        return "no such file or directory: a path has no NUL character"
    except OSError as error:
        if error.errno not in ABSENT:
            return (error.strerror or str(error)).lower()
    links = [place for place in _steps(text) if os.path.islink(place) and not os.path.exists(place)]
    if not links:
        return "no such file or directory"
    link = "" if links[0] == text else f"{links[0]} is "
    return f"no such file or directory ({link}a broken symbolic link to {os.readlink(links[0])})"


def _steps(text: str) -> Iterator[str]:
    """The path's first part, its first two, and so on to the whole."""
    parts = text.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1) if parts[count - 1])


def nearest(text: str) -> str | None:
    """The existing path that is most like this one; None where nothing is like it."""
    for meant in (os.path.expanduser(text), text.strip(), text.replace("\\", "/")):
        if meant != text and os.path.exists(meant):
            return meant
    place, changed = "/" if text.startswith("/") else "", False
    for part in filter(None, text.split("/")):
        if not os.path.lexists(place + part):
            alike = _alike(place or ".", part)
            if alike is None:
                # What is below a file was meant to be the file.
                changed = changed or os.path.isfile(place.rstrip("/"))
                break
            place, changed = f"{place}{alike}/", True
        else:
            place += f"{part}/"
    return place.rstrip("/") if changed else None


def _alike(folder: str, name: str) -> str | None:
    """The entry of a folder whose name is most like this one, or begins with it."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, COMPARED))
    except OSError:
        return None
    names = [other for other in names if name.startswith(".") or not other.startswith(".")]
    likeness = {other: _likeness(name.lower(), other.lower()) for other in names}
    best = max(likeness, key=likeness.__getitem__, default=None)
    if best is not None and likeness[best] >= ALIKE:
        return best
    return next((other for other in names if len(name) > 1 and other.lower().startswith(name.lower())), None)


def _likeness(name: str, other: str) -> float:
    """From 0 to 1; an ending that both have says nothing."""
    (stem, suffix), (other_stem, other_suffix) = os.path.splitext(name), os.path.splitext(other)
    if suffix == other_suffix:
        name, other = stem, other_stem
    compared = SequenceMatcher(None, name, other)
    return compared.ratio() if compared.real_quick_ratio() >= ALIKE and compared.quick_ratio() >= ALIKE else 0.0


def quoted(path: str) -> str:
    """A path that can be pasted into a shell."""
    return shlex.quote(path) if any(character in " '\"$&();|<>*?`\\" for character in path) else path
