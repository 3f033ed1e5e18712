"""The names that a search means: those with a role, those that fit a pattern, or those that contain a text."""

from __future__ import annotations

from weightscope.analyses.inventory import Inventory
from weightscope.analyses.naming import MAX_TYPED
from weightscope.analyses.other_names import OtherNames, names_that_fit
from weightscope.analyses.selecting import Pattern


def find_names(typed: str, inventory: Inventory, others: OtherNames) -> tuple[str, ...]:
    """The names of all tensors that `typed` means, in the order of the forward pass.

    A role means its tensors; a text with `*`, `?`, `[…]`, `{}` or `{0-3}` is a pattern of whole names; other text is
    looked for in names, upper and lower case alike. A tensor is found by its `others`, too.
    """
    typed = typed.strip()
    if not typed or len(typed) > MAX_TYPED:
        return ()
    of_role = [name for group in inventory.groups if typed in group.roles for name in group.every_name]
    if of_role:
        return tuple(of_role)
    pattern = Pattern.of(typed)
    part = typed.casefold()
    fits = pattern.fits if pattern.selects else lambda name: part in name.casefold()
    return tuple(name for group in inventory.groups for name in names_that_fit(group, others, fits))
