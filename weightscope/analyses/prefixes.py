"""Find the prefix, suffix or wrapper's word that stands between stored names and those of the architecture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os.path import commonprefix

from weightscope.analyses.exchanges import Names, Pair, find_exchanges, same_shape
from weightscope.analyses.fitting import LM_HEAD, may_be_renamed, required_of, table_of
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.renaming import Change, Renaming
from weightscope.components.walk import Slot
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.method import variants_of
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

_WORDS = re.compile(
    r"(?:^|(?<=\.))(?:base_model\.model|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module"
    r"|module|modules_to_save\.[^.]+|original_module|base_layer)\."
)
_NUMBER = re.compile(r"(?:^|\.)\d+\.")
_COPIES = re.compile(r"\b(modules_to_save|original_module)\.")
# Prefixes are looked for up to this many words deep.
DEPTH = 5
# The last words of a name, among which the numbers of its layer and expert are.
NUMBERED = 7
# The part of the expected names that one exchange must explain, to be one.
SHARE = 0.25


def unwrapped(names: Collection[str]) -> Iterator[dict[str, str]]:
    """Names without wrappers' words, and less one word more each time of what they all begin with."""
    bare = {name: _WORDS.sub("", name) for name in names}
    common = commonprefix(list(bare.values())).split(".")[:-1]  # noqa: RUF071 - names, not paths
    for cut in range(min(len(common), DEPTH) + 1):
        length = sum(len(word) + 1 for word in common[:cut])
        yield {name: new[length:] for name, new in bare.items() if len(new) > length and new[length:] != name}


def find_renaming(declaration: Declaration, checkpoint: Checkpoint) -> Renaming | None:
    """How the stored names become the declaration's; None where most fit already, or nothing makes them fit."""
    stored = checkpoint.names
    if not may_be_renamed(declaration, stored):
        return None
    required = required_of(declaration)
    missing = [slot for slot in required if slot.first_name() not in stored]
    declared = {name for slot in declaration.slots for name in slot.names()}
    strays = {name: _WORDS.sub("", name) for name in stored if name not in declared}
    found = Names(declared, stored)
    pairs = _prefixes(missing, strays.values(), len(required))
    # The trained copy of a module that PEFT saves twice is the one that counts.
    for name in sorted(strays, key=lambda name: "original_module." in name):
        found.take(name, _renamed(strays[name], pairs, declared), _cut(strays[name], pairs))
    absent = [
        slot for slot in declaration.slots if slot.first_name() not in stored and not _varies(slot, declaration, stored)
    ]
    exchanges = find_exchanges(checkpoint, absent, found) if checkpoint.tensors else []
    _take_head(declaration, {name: _cut(strays.get(name, name), pairs) for name in stored if LM_HEAD in name}, found)
    if not found.fitting and not exchanges:
        return _embedding_from_head(declaration, checkpoint, {})
    changes = (*_word_changes(found.names), *_prefix_changes(found.names, strays, pairs), *exchanges)
    head = _embedding_from_head(declaration, checkpoint, found.names)
    superseded = tuple(name for name in strays if name not in found.names and _COPIES.search(name))
    return Renaming(
        names=head.names if head else found.names,
        changes=changes,
        superseded=superseded,
        embedding_of=head.embedding_of if head else "",
    )


def _varies(slot: Slot, declaration: Declaration, stored: Collection[str]) -> bool:
    """Whether the method's writers have other names for these scales, and the files have those."""
    scheme = slot.stored.scheme
    if scheme is None or slot.stored.kind is not Kind.SCALE:
        return False
    weight = f"{slot.first_name().rpartition('.')[0]}.weight"
    ways = variants_of(declaration.method, scheme)
    return any(part in stored for way in ways for part in way.parts(weight) if part != weight)


def place_of(slots: Iterable[Slot], names: Iterable[str]) -> Pair | None:
    """The prefix under which names hold these slots, for the one that they are declared with; None for none."""
    required = [slot for slot in slots if not (slot.stored.optional or slot.auxiliary)]
    return next(iter(_prefixes(required, names, len(required))), None)


def _prefixes(missing: Sequence[Slot], names: Iterable[str], expected: int) -> list[Pair]:
    """The exchanges of prefixes that many of the missing names ask for."""
    tails: dict[str, set[str]] = {}
    # Only the first layer and expert are asked for: of 90,000 names some hundred.
    firsts = {word for slot in missing for word in slot.first_name().split(".") if word.isdigit()}
    for name in names:
        words = name.split(".")
        if any(word.isdigit() and word not in firsts for word in words[-NUMBERED:]):
            continue
        for cut in range(min(DEPTH, len(words) - 2) + 1):
            tails.setdefault(".".join(words[cut:]), set()).add("".join(f"{word}." for word in words[:cut]))
    votes: Counter[Pair] = Counter()
    for slot in missing:
        words = slot.first_name().split(".")
        for cut in range(max(len(words) - 1, 1)):
            if before := tails.get(".".join(words[cut:])):
                own = "".join(f"{word}." for word in words[:cut])
                votes.update(Pair(x, own) for x in before if x != own and not _NUMBER.search(f"{x}{own}"))
                break
    many = [pair for pair, count in votes.most_common() if count >= max(2, SHARE * expected)]
    # Where one root stands for another, what lies beside the layers may be told apart from them.
    roots = {pair.found.partition(".")[0] for pair in many}
    return many + [pair for pair in votes if pair not in many and pair.found.partition(".")[0] in roots]


def _renamed(name: str, pairs: Iterable[Pair], declared: Collection[str]) -> str:
    """The declared name that a stray becomes, or an empty string."""
    if name in declared:
        return name
    for found, expected in pairs:
        if name.startswith(found) and (new := expected + name.removeprefix(found)) in declared:
            return new
    return ""


def _cut(name: str, pairs: Iterable[Pair]) -> str:
    """A name that is not declared, less the prefix that all others carry too."""
    for found, expected in pairs:
        if found and not expected and name.startswith(found):
            return name.removeprefix(found)
    return name


def _word_changes(names: Mapping[str, str]) -> Iterator[Change]:
    """How many names carry each wrapper's word."""
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for name in names:
        for word in _WORDS.findall(name):
            counts[word] += 1
            example.setdefault(word, name)
    for word, count in counts.items():
        place = "prefix" if all(name.startswith(word) for name in names if word in name) else "inside"
        yield Change(found=word, expected="", place=place, count=count, example=example[word])  # type: ignore[arg-type]


def _prefix_changes(names: Mapping[str, str], bare: Mapping[str, str], pairs: Iterable[Pair]) -> Iterator[Change]:
    """The exchanges that happened, and how often."""
    for found, expected in pairs:
        meant = [n for n, new in names.items() if new != bare[n] and new == expected + bare[n].removeprefix(found)]
        meant = [name for name in meant if bare[name].startswith(found)]
        if meant:
            yield Change(found=found, expected=expected, place="prefix", count=len(meant), example=meant[0])


def _take_head(declaration: Declaration, heads: Mapping[str, str], found: Names) -> None:
    """A head under transformers' usual name, where the type is published with another (GPT-NeoX: `embed_out`).

    `heads` are stored names, each with what is left without what stands before all names.
    """
    head = table_of(declaration, Role.LM_HEAD, Section.HEAD)
    stored = next((name for name, bare in heads.items() if bare == LM_HEAD), None)
    if head and stored and not found.has(stored):
        found.take(stored, head.first_name())


def _embedding_from_head(declaration: Declaration, checkpoint: Checkpoint, names: Mapping[str, str]) -> Renaming | None:
    """A tied model whose only copy is stored as the head: the embedding is read from there."""
    if not declaration.tied or not checkpoint.complete:
        return None
    head = table_of(declaration, Role.LM_HEAD, Section.HEAD)
    embedding = table_of(declaration, Role.TOKEN_EMBEDDING, Section.EMBEDDING)
    there = {new: old for old, new in names.items()} | {n: n for n in checkpoint.names if n not in names}
    if head is None or embedding is None or embedding.first_name() in there or head.first_name() not in there:
        return None
    stored = there[head.first_name()]
    if not same_shape(checkpoint, stored, embedding):
        return None
    return Renaming(names={**names, stored: embedding.first_name()}, embedding_of=stored)
