"""What the files hold beside each weight, held against what the config says of its module."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import prod
from typing import Literal

import msgspec
from msgspec.structs import replace

from weightscope.checkpoint.dtypes import FLOATS
from weightscope.checkpoint.entry import TensorEntry
from weightscope.quantization.common.biased import WRITERS, Biased
from weightscope.quantization.common.coverage import EXPERT, left_open, may_leave_experts, oriented, turned
from weightscope.quantization.common.marks import ANCHORED, PACKED, Signature, mark_beside, of_weight, signature_of
from weightscope.quantization.common.method import (
    Method,
    is_matrix,
    module_of,
    variants_of,
)
from weightscope.quantization.common.unread import Unread
from weightscope.quantization.registry import recognize
from weightscope.storage.base import Scheme, Stored

Tensors = Collection[str] | Mapping[str, TensorEntry]
Fault = Literal["plain", "other", "unsaid"]


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that are not stored as the config says.

    `plain` are stored plain where the config says they are quantized, `other` by another method than the config's,
    `unsaid` quantized where the config says they are plain. `found` is what they are, `beside` what stands beside
    them, `wanted` what the config's scheme has there, `names` are theirs.
    """

    fault: Fault
    found: str
    beside: tuple[str, ...]
    wanted: tuple[str, ...]
    names: tuple[str, ...]


class Evidence:
    """The names of a checkpoint, or its entries, by the module they belong to; `strays` are declared by nothing."""

    def __init__(self, tensors: Tensors, method: Method | None, strays: Collection[str] = ()) -> None:
        self._tensors = tensors
        self._entries: Mapping[str, TensorEntry] = tensors if isinstance(tensors, Mapping) else {}
        self._method = method
        self._strays = frozenset(strays)
        self._marks: dict[str, set[str]] = {}
        self._faults: dict[Mismatch, list[str]] = {}
        for name in tensors:
            if found := self._split(name):
                self._marks.setdefault(found[0], set()).add(found[1])
        scaled = [module for module, marks in self._marks.items() if of_weight(marks)]
        self._scaled = bool(scaled)
        self._plain_experts = may_leave_experts(method) and not any(map(EXPERT.search, scaled))

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """What `decide` found to be otherwise than the config says."""
        return tuple(replace(mismatch, names=tuple(names)) for mismatch, names in self._faults.items())

    def decide(self, stored: Stored, said: Scheme | None, name: str) -> Scheme | None:
        """How the weight of that name is stored, where the config says `said`; `stored` is what it would be plain."""
        marks = of_weight(self._marks.get(module_of(name), ()))
        # GPTQ's writers give every module a bias; alone it says nothing.
        biased = ".bias" in marks
        if marks == {".bias"}:
            marks = set()
        either = left_open(self._method, stored, module_of(name))
        likely = said or either
        way = self._way(stored, likely, name) if likely is not None else None
        if way is not None:
            return Biased(scheme=way) if biased and way.name in WRITERS else way
        if said is not None and not marks:
            # Its scales are no more there than the weight is.
            if stored.optional and name not in self._tensors:
                return None
            free = either is not None or (self._plain_experts and EXPERT.search(name) is not None)
            return None if self._is_plain(name, said=not free) or self._lost_all(name) else said
        if not marks or not self._is_there(name, marks):
            return None
        return self._marked(stored, name, marks, said)

    def _way(self, stored: Stored, said: Scheme, name: str) -> Scheme | None:
        """The scheme, of the ways to store what the config says, whose tensors beside the weight are there."""
        ways = variants_of(self._method, said)
        there = [
            way
            for way in dict.fromkeys((said, *ways))
            if any(part in self._tensors for part in way.parts(name) if part != name)
        ]
        if len(there) > 1 and self._entries:
            named = replace(stored, name=name)
            return next((way for way in there if self._fits(way, named)), there[0])
        return there[0] if there else None

    def _fits(self, way: Scheme, stored: Stored) -> bool:
        """Whether all tensors of a scheme are there, each with a shape and an element type that it may have."""
        for part in way.expand(stored):
            entry = self._entries.get(part.name)
            if entry is None:
                if not part.optional:
                    return False
            elif entry.dtype not in (part.dtypes or {entry.dtype}) or not (
                part.opaque or entry.shape in {tuple(map(int, shape)) for shape in (part.shape, *part.also)}
            ):
                return False
        return True

    def _split(self, name: str) -> tuple[str, str] | None:
        found = mark_beside(name, self._tensors)
        if found is None and name in self._strays:
            module, _, leaf = name.rpartition(".")
            # A method that is not known here may store anything in a module beside its weight.
            unknown = self._method is not None and bool(self._method.missing) and leaf != "weight"
            return (module, f".{leaf}") if module and (leaf == "bias" or unknown) else None
        return found

    def _is_there(self, name: str, marks: Collection[str]) -> bool:
        """Whether a weight is there that the marks stand beside."""
        return name in self._tensors or self._packed(name, marks) is not None

    def _is_plain(self, name: str, *, said: bool) -> bool:
        """Whether a weight without marks is stored plain; one of another dtype has lost its scales."""
        if name not in self._tensors:
            return False
        entry = self._entries.get(name)
        if entry is not None and entry.dtype not in FLOATS:
            return False
        method = self._method
        if said and method is not None and not method.silent:
            self._note("plain", name, "plain")
        return True

    def _lost_all(self, name: str) -> bool:
        """Whether a weight is there and no scale in the whole checkpoint: one fault, and not one a tensor."""
        return name in self._tensors and not self._scaled

    def _marked(self, stored: Stored, name: str, marks: set[str], said: Scheme | None) -> Scheme:
        """The scheme that the marks tell; what the config says otherwise is noted."""
        signature, method = signature_of(marks), self._method
        title = self._title(signature, name)
        packed = self._packed(name, marks) or ".weight"
        sides = tuple(sorted(marks - {packed}))
        foreign = method is not None and bool(signature.methods) and method.name not in signature.methods
        if said is not None and not foreign:
            wanted = [part.removeprefix(module_of(name)) for part in said.parts(name) if part != name]
            self._note("other", name, title, sides, wanted)
        elif foreign and (said is not None or (method is not None and method.missing)):
            self._note("other", name, title, sides)
        elif method is None or not method.missing:
            self._note("unsaid", name, title, sides)
        return self._recognized(stored, signature, name, marks) or Unread(name=title, packed=packed, sides=sides)

    def _recognized(self, stored: Stored, signature: Signature, name: str, marks: Collection[str]) -> Scheme | None:
        """The scheme that the tensors of the module tell by their names, types and shapes, if a method reads them."""
        method, module = self._method, module_of(name)
        if not self._entries or (method is not None and method.missing and method.name in signature.methods):
            return None
        found = {mark: self._entries[f"{module}{mark}"] for mark in marks if f"{module}{mark}" in self._entries}
        if name in self._entries:
            found[name.removeprefix(module)] = self._entries[name]
        shape = oriented(stored) if is_matrix(stored) else tuple(map(int, stored.shape))
        told = recognize(signature.methods, found, shape=shape)
        scheme = turned(told.scheme, stored) if told else None
        return Biased(scheme=scheme) if scheme and ".bias" in marks and scheme.name in WRITERS else scheme

    def _title(self, signature: Signature, name: str) -> str:
        method = self._method
        agrees = method is not None and (method.name in signature.methods or not signature.methods)
        if method is not None and method.missing and agrees:
            return method.name
        entry = self._entries.get(name)
        dtype = entry.dtype if entry else ""
        return signature.title.format("FP8" if dtype.startswith("F8") else "int8" if dtype == "I8" else "weights")

    def _packed(self, name: str, marks: Collection[str]) -> str | None:
        """The mark of the tensor that holds the weights: the plain name, a name for packed ones, or the largest."""
        module = module_of(name)
        if name in self._tensors:
            return name.removeprefix(module)
        known = [mark for mark in (*PACKED, *ANCHORED) if mark in marks]
        if known or self._method is None or not self._method.missing:
            return known[0] if known else None
        return max(sorted(marks), key=lambda mark: self._elements(f"{module}{mark}"), default=None)

    def _elements(self, name: str) -> int:
        entry = self._entries.get(name)
        return prod(entry.shape) if entry else 0

    def _note(
        self, fault: Fault, name: str, found: str, beside: Iterable[str] = (), wanted: Iterable[str] = ()
    ) -> None:
        words = [tuple(mark.lstrip(".") for mark in marks) for marks in (beside, wanted)]
        mismatch = Mismatch(fault=fault, found=found, beside=words[0], wanted=words[1], names=())
        self._faults.setdefault(mismatch, []).append(name)
