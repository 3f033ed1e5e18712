"""The columns that several commands have."""

from __future__ import annotations

from weightscope.output.document import Column

COMPONENT = Column(title="Component")
ROLE = Column(title="Role")
TENSORS = Column(title="Tensors", kind="count")
PARAMETERS = Column(title="Parameters", kind="amount")
SHARE = Column(title="Share", kind="share")
BYTES = Column(title="Bytes", kind="bytes")


def mark(role: str, *, inferred: bool) -> str:
    """A role, with ~ where it was guessed from a name."""
    return f"{role} ~" if inferred else role
