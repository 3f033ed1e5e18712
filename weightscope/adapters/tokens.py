"""Trainable tokens: a few rows of a table of embeddings, trained and stored alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.adapters.common.change import Module, OneTensor, Raw, Read, widened
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

if TYPE_CHECKING:
    import torch

PARTS = {"rows": Role.TRAINED_TOKENS}


class Rows(OneTensor, frozen=True, kw_only=True):
    """The rows `indices` of a table in the place of the base's."""

    indices: tuple[int, ...]

    @property
    def formula(self) -> str:
        """Which rows."""
        shown = ", ".join(map(str, self.indices[:6])) + (", …" if len(self.indices) > 6 else "")
        return f"W with the adapter's own rows {shown}"

    @property
    def rowwise(self) -> bool:
        """Each row is its own."""
        return True

    def applied(self, weight: torch.Tensor, raw: Raw, rows: slice | torch.Tensor | None = None) -> torch.Tensor:
        """See `Change`."""
        import torch

        changed = widened(weight).clone()
        order = torch.tensor(self.indices, device=weight.device).argsort()
        known = torch.tensor(self.indices, device=weight.device)[order]
        if rows is None:
            wanted = torch.arange(len(changed), device=weight.device)
        elif isinstance(rows, slice):
            wanted = torch.arange(rows.start, rows.start + len(changed), device=weight.device)
        else:
            wanted = rows.to(weight.device)
        place = torch.searchsorted(known, wanted).clamp_(max=len(known) - 1)
        hit = known[place] == wanted
        changed[hit] = raw.whole(self.tensor).to(changed)[order][place[hit]]
        return changed


def read(module: Module, settings: Settings) -> Read:
    """The rows of one table."""
    shape, tensor = module.shape("rows"), module.parts["rows"]
    named = [rows for name, rows in settings.tokens if module.name == name or module.name.endswith(f".{name}")]
    # A list without a name is of the only table there is.
    indices = named[0] if named else next((rows for name, rows in settings.tokens if not name), ())
    if len(shape) != 2 or shape[0] != len(indices):
        return Read(faults=(module.fault(f"{list(shape)} are stored for {len(indices):,} trained tokens"),))
    if len(set(indices)) != len(indices):
        return Read(faults=(module.fault("a trained token is named twice"),))
    rows = Rows(weight=module.weight, tensor=tensor, indices=indices, shape=(None, shape[1]))
    return Read(changes=(rows,))
