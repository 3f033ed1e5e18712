"""Which components a pass left out, so that its verdict is not taken for one on them."""

from __future__ import annotations

from collections.abc import Collection

from weightscope.analyses.inventory import Inventory
from weightscope.roles import SENSES, Section


def not_run(inventory: Inventory, takes: Collection[str], given: Collection[str]) -> tuple[Section, ...]:
    """Those of images and audio where none was given, and layers that predict ahead.

    Args:
        inventory: what the model holds.
        takes: names of the arrays that the model takes besides tokens.
        given: names of those that it got.
    """
    unfed = SENSES if takes and not any(name in given for name in takes) else ()
    held = {Section.MTP if group.auxiliary else group.section for group in inventory.groups if group.parameters}
    return tuple(section for section in (*unfed, Section.MTP) if section in held)
