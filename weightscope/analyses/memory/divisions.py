"""What tensor ranks divide evenly: heads, the inner width of MLPs, and rows of the vocabulary, as vLLM wants them.

The rules are those of vLLM 0.33.0: `verify_with_parallel_config` in `vllm/config/model.py`, `divide` in
`vllm/model_executor/layers/linear.py`, `pad_vocab_size` in `vocab_parallel_embedding.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weightscope.analyses.memory.kept import Kept
from weightscope.analyses.memory.loading import Loading
from weightscope.analyses.memory.ranks import Ranks
from weightscope.brief import plural
from weightscope.components.attention.compressed import CompressedAttention
from weightscope.components.attention.latent import LatentAttention
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component
from weightscope.components.state import State
from weightscope.roles import SENSES, Role

HEADED = frozenset({"keys_and_values", "cross_keys_and_values", "latent", "compressed_keys", "recurrence"})
INNER = frozenset({Role.GATE_PROJ, Role.UP_PROJ})
# The vocabulary gets rows of zeros until it is a multiple of this.
VOCABULARY_STEP = 64


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranks cannot divide, and what is not divided equally, in words."""

    undivided: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def division(kept: Sequence[Kept], loaded: Loading, ranks: Ranks) -> Division:
    """How ranks divide what is kept of a sequence, and the weights."""
    return Division(undivided=_undivided(kept, loaded, ranks), notes=(*_repeated(kept, ranks), *_uneven(loaded, ranks)))


def _undivided(kept: Iterable[Kept], loaded: Loading, ranks: Ranks) -> tuple[str, ...]:
    """What the tensor ranks cannot divide: heads whose state is kept; if these divide, what only multiplies."""
    states = {_heads(state, part) for part, state in _headed(kept) if _splits(state, ranks.tensor)}
    return tuple(sorted(states)) or tuple(_odd(loaded, ranks))


def _repeated(kept: Iterable[Kept], ranks: Ranks) -> Iterator[str]:
    """What several tensor ranks keep alike."""
    found = {
        f"{_heads(state, part)}: {ranks.tensor // state.parts:,} ranks keep the same"
        for part, state in _headed(kept)
        if state.parts < ranks.tensor and not _splits(state, ranks.tensor)
    }
    yield from sorted(found)


def _uneven(loaded: Loading, ranks: Ranks) -> Iterator[str]:
    """Experts that are not there, or of which one group of ranks has more than another."""
    if ranks.expert == 1:
        return
    counts = sorted({group.chosen[1] for group in loaded.groups if group.chosen != (1, 1)})
    if not counts:
        yield f"the model has no experts for {plural(ranks.expert, 'group')} of ranks to divide"
    for count in counts:
        if count % ranks.expert:
            most = -(-count // ranks.expert)
            yield f"{plural(count, 'expert')} among {plural(ranks.expert, 'group')} of ranks: the fullest has {most:,}"


def _splits(state: State, ranks: int) -> bool:
    """Whether a head would be divided. Ranks that are a multiple of the heads repeat them, but not a recurrence's."""
    repeats = state.kind != "recurrence" and ranks % state.parts == 0
    return state.parts % ranks != 0 and not repeats


def _headed(kept: Iterable[Kept]) -> Iterator[tuple[Kept, State]]:
    """The states that are divided by heads."""
    for part in kept:
        headed = (state for state in part.states if state.kind in HEADED and state.parts)
        yield from ((part, state) for state in headed if not part.auxiliary)


def _heads(state: State, part: Kept) -> str:
    kind = state.kind.replace("_", " ")
    return f"the {kind} of {part.part}" if state.parts == 1 else f"{kind} of {state.parts:,} heads"


def _odd(loaded: Loading, ranks: Ranks) -> Iterator[str]:
    """What is no multiple of the ranks that divide it, each once."""
    found: dict[str, None] = {}
    for group in loaded.groups:
        owner = loaded.owners.get(group.template)
        if owner is None or group.section in SENSES:
            continue
        among = ranks.tensor // ranks.expert if group.chosen != (1, 1) else ranks.tensor
        for number, words in _divided(owner, frozenset(group.roles)):
            if number % among:
                found[words.format(number)] = None
    yield from found


def _divided(owner: Component, roles: frozenset[Role]) -> Iterator[tuple[int, str]]:
    """The numbers that tensor ranks have to divide in a component's matrices of these roles, and words for each."""
    sizes = owner.sizes()
    if Role.O_PROJ in roles:
        match owner:
            case Attention():
                yield int(owner.heads.count), "{:,} attention heads"
            case LatentAttention() | CompressedAttention():
                yield int(owner.heads), "{:,} attention heads"
            case _:
                pass
    for role in INNER & roles & sizes.keys():
        yield int(sizes[role][0]), "the {:,} elements within an MLP"
    if Role.TOKEN_EMBEDDING in roles & sizes.keys():
        rows = int(sizes[Role.TOKEN_EMBEDDING][0])
        yield -(-rows // VOCABULARY_STEP) * VOCABULARY_STEP, "the {:,} rows of the padded vocabulary"
