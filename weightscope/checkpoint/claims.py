"""What a server claims, checked before it becomes a path, a key or a number."""

from __future__ import annotations

import re

# No file is larger; offsets of every file system fit into this.
MAX_SIZE = (1 << 63) - 1
MAX_NAME, MAX_PART = 1024, 255

# A commit or a git object (SHA-1, or SHA-256 in newer repositories), and the content of a large file (SHA-256).
HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
SHA256 = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[0-9]{1,19}")
DRIVE = re.compile(r"[A-Za-z]:")
# Backslashes, control characters, and halves of a character that no encoding has.
UNUSABLE = re.compile("[\\\\\x00-\x1f\x7f\ud800-\udfff]")
# What a header may hold to be sent back in another.
TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")


def is_hash(text: str) -> bool:
    """Whether a text is 40 or 64 hexadecimal digits."""
    return HASH.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Whether a text is 64 hexadecimal digits."""
    return SHA256.fullmatch(text) is not None


def number(text: str) -> int | None:
    """A size or a place in a file; None for a text that spells none below 2^63."""
    value = int(text) if NUMBER.fullmatch(text) else MAX_SIZE + 1
    return value if value <= MAX_SIZE else None


def leaves(name: str) -> bool:
    """Whether a name leads out of the folder that it is a name in."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or ".." in parts or "\0" in name or DRIVE.match(name) is not None


def is_path(name: str) -> bool:
    """Whether a name is a path below a folder on every system: relative, no `..`, backslash or control character."""
    parts = name.split("/")
    plain = not leaves(name) and not UNUSABLE.search(name) and len(name) <= MAX_NAME
    return plain and all(part not in ("", ".") and len(part.encode()) <= MAX_PART for part in parts)


def etag_of(text: str) -> str:
    """An ETag that can be sent back to ask whether it still holds; empty for what cannot."""
    return text if TOKEN.fullmatch(text) else ""
