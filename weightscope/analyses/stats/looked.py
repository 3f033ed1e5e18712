"""A tensor once it was looked at: what is known of it, and what its values add up to."""

from __future__ import annotations

import msgspec

from weightscope.analyses.stats.figures import Figures, Sums
from weightscope.analyses.stats.gathering import Seen
from weightscope.analyses.stats.sources import Known
from weightscope.analyses.stats.zeros import Structure
from weightscope.errors import CheckpointError


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """`zeros` is None of a vector and of a sample; `error` is set where the tensor could not be read."""

    known: Known
    sums: Sums
    figures: Figures
    zeros: Structure | None
    shape: tuple[int, ...]
    error: CheckpointError | None

    @classmethod
    def of(cls, known: Known, seen: Seen) -> Looked:
        """From what was read."""
        experts = known.experts if known.source.scheme is None else 0
        heads = known.heads if known.source.scheme is None else (0, 0)
        return cls(
            known=known,
            sums=seen.sums,
            figures=seen.sums.figures,
            zeros=seen.zeros.structure(experts, heads) if seen.zeros else None,
            shape=seen.shape,
            error=seen.error,
        )

    @property
    def name(self) -> str:
        """The tensor's."""
        return self.known.source.name

    @property
    def is_matrix(self) -> bool:
        """Whether it is a weight of two dimensions or more."""
        return self.known.is_weight and len(self.shape) > 1

    @property
    def tells(self) -> bool:
        """Whether it is a weight whose values could be read, are no codes, and are not all one number."""
        known, figures = self.known, self.figures
        is_packed = known.group.scheme is not None and known.source.scheme is None
        return known.is_weight and not is_packed and not self.error and figures.finite > 1 and not figures.is_constant
