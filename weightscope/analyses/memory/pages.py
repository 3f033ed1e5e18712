"""What an allocator reserves for a decode state: whole pages, all of one size where layers differ in kind.

The rules are those of vLLM 0.33.0 (`vllm/v1/kv_cache_interface.py`, `vllm/v1/core/kv_cache_planning.py`,
`_align_hybrid_block_size` in `vllm/platforms/interface.py`): a window holds the pages of its last tokens and the new
one, and one more; a recurrent state is one page; where layers differ in kind, all pages have as many bytes as the
largest, and pages of keys have as many tokens as make them as large as a recurrent state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from weightscope.analyses.memory.dtypes import byte_count
from weightscope.components.state import Fixed, State

PAGE_SIZE = 16
SOURCE = "vLLM's hybrid allocator"
# Beside recurrent states, pages of latents have a multiple of so many tokens, as their kernels want.
LATENT_STEP = 128


class Paged(msgspec.Struct, frozen=True, kw_only=True):
    """The states that share a page, with their element types: one, or all fixed ones of a component."""

    states: tuple[tuple[State, str], ...]

    @property
    def fixed(self) -> bool:
        """Whether a sequence has one such page however long it is."""
        return isinstance(self.states[0][0], Fixed)

    @property
    def paged(self) -> bool:
        """Whether it lies in pages; what does not is kept apart."""
        return self.states[0][0].paged

    @property
    def window(self) -> int | None:
        """Of how many tokens they are kept, where not of all."""
        return self.states[0][0].last

    def bytes(self, size: int) -> int:
        """Bytes of a page of `size` tokens."""
        return sum(byte_count(state.page(size), dtype) for state, dtype in self.states)

    def pages(self, tokens: int, source: int, size: int) -> int:
        """How many of them a sequence has."""
        return self.states[0][0].pages(tokens, source, size)


def paged(states: Iterable[tuple[State, str]]) -> tuple[Paged, ...]:
    """The states of one component as what shares a page."""
    fixed = tuple(pair for pair in states if isinstance(pair[0], Fixed))
    others = (Paged(states=(pair,)) for pair in states if not isinstance(pair[0], Fixed))
    return (*([Paged(states=fixed)] if fixed else []), *others)


def reserved(units: Sequence[Paged], tokens: int, source: int, size: int) -> tuple[int, ...]:
    """Bytes that are reserved for each unit of one sequence, in pages of `size` tokens."""
    shared = [unit for unit in units if unit.paged]
    if len({(unit.fixed, unit.window) for unit in shared}) <= 1:
        return tuple(unit.pages(tokens, source, size) * unit.bytes(size) for unit in units)
    size, page = _common(shared, size)
    return tuple(
        unit.pages(tokens, source, _tokens(unit, size, page)) * page if unit.paged else unit.bytes(size)
        for unit in units
    )


def _common(units: Sequence[Paged], size: int) -> tuple[int, int]:
    """Tokens in a page of the widest keys, and the bytes that all pages have."""
    fixed = max((unit.bytes(size) for unit in units if unit.fixed), default=0)
    if fixed and any(unit.states[0][0].kind == "latent" for unit in units):
        size = max(size, LATENT_STEP)
    widest = max((unit.bytes(size) for unit in units if not unit.fixed), default=0)
    times = max(1, -(-fixed // widest)) if widest else 1
    return size * times, max(widest * times, fixed)


def _tokens(unit: Paged, size: int, page: int) -> int:
    """Tokens in a page of that unit: more where its own pages divide the common one, else padding."""
    own = unit.bytes(size)
    return size * (page // own) if own and not page % own else size
