"""The metadata of one architecture, and the sizes that all configs have."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import MAX_LAYERS

TOKENS = "tokenizer.ggml.tokens"


class Keys:
    """Values under `{architecture}.`, typed; `names` are the file's tensors."""

    def __init__(self, metadata: Metadata, names: Mapping[str, TensorEntry]) -> None:
        self.metadata = metadata
        self.names = names
        self.architecture = metadata.architecture

    def whole(self, key: str) -> int | None:
        """A whole number, or several that are all the same.

        Raises:
            CheckpointError: it is no whole number.
            UndeclaredError: layers have different ones.
        """
        full = f"{self.architecture}.{key}"
        if not isinstance(self.metadata.values.get(full), tuple):
            return self.metadata.whole(full)
        numbers = set(self.metadata.wholes(full) or ())
        if len(numbers) > 1:
            raise UndeclaredError(f"{full} differs between layers, which is not declared", where=self.metadata.where)
        return next(iter(numbers), None)

    def needed(self, key: str) -> int:
        """A whole number without which there is no config.

        Raises:
            UndeclaredError: the file lacks the key.
        """
        value = self.whole(key)
        if value is None:
            raise UndeclaredError(f"lacks the metadata key {self.architecture}.{key}", where=self.metadata.where)
        return value

    def layers(self, key: str) -> tuple[int, ...]:
        """A whole number (or a flag, as 0 or 1) for each layer: one for all, or a list.

        Raises:
            CheckpointError: it is something else, or of another length than the model is deep.
            UndeclaredError: the file lacks the key.
        """
        full, depth = f"{self.architecture}.{key}", self.depth
        if not self.lists(key):
            return (self.needed(key),) * depth
        several = self.metadata.wholes(full) or ()
        if len(several) != depth:
            raise self.metadata.wrong(full, f"a number for each of {depth:,} layers")
        return tuple(map(int, several))

    def where_any(self, key: str) -> int | None:
        """A whole number of the layers that have one: those with 0 are passed over.

        Raises:
            CheckpointError: as for `layers`.
            UndeclaredError: layers have different ones.
        """
        numbers = {number for number in self.layers(key) if number}
        if len(numbers) > 1:
            full = f"{self.architecture}.{key}"
            raise UndeclaredError(f"{full} differs between layers, which is not declared", where=self.metadata.where)
        return next(iter(numbers), None)

    def number(self, key: str) -> float | None:
        """A number, as the shortest decimal that is the same float32."""
        value = self.metadata.number(f"{self.architecture}.{key}")
        return None if value is None else shortest(value)

    def lists(self, key: str) -> bool:
        """Whether the file has a value of its own for each layer."""
        return isinstance(self.metadata.values.get(f"{self.architecture}.{key}"), tuple)

    def numbers(self, key: str) -> tuple[float, ...]:
        """An array of numbers; empty where the file lacks the key.

        Raises:
            CheckpointError: it is something else.
        """
        full = f"{self.architecture}.{key}"
        values = self.metadata.values.get(full, ())
        found = (
            tuple(float(value) for value in values if not isinstance(value, str)) if isinstance(values, tuple) else ()
        )
        if not isinstance(values, tuple) or len(found) != len(values):
            raise self.metadata.wrong(full, "an array of numbers")
        return found

    def rows(self, name: str) -> int | None:
        """The rows of a tensor; None where the file lacks it."""
        entry = self.names.get(name)
        return entry.shape[0] if entry and entry.shape else None

    def text(self, key: str) -> str | None:
        """A string."""
        return self.metadata.text(f"{self.architecture}.{key}")

    def flag(self, key: str) -> bool | None:
        """True or false."""
        return self.metadata.flag(f"{self.architecture}.{key}")

    @property
    def depth(self) -> int:
        """The number of layers."""
        return self.deep("block_count")

    def deep(self, key: str) -> int:
        """A number of layers, before anything is listed by them.

        Raises:
            UndeclaredError: the file lacks it.
            CheckpointError: a number beyond reason.
        """
        depth = self.needed(key)
        if not 0 <= depth <= MAX_LAYERS:
            raise self.metadata.wrong(f"{self.architecture}.{key}", "a number of layers that a model has")
        return depth

    def all_but_every(self, count: int) -> list[bool]:
        """For each layer whether it is another than the last of so many: true three times and false once for 4."""
        return [(layer + 1) % max(count, 1) != 0 for layer in range(self.depth)]

    @property
    def head_size(self) -> int:
        """Elements of a query head."""
        return self.whole("attention.key_length") or self.needed("embedding_length") // max(
            self.needed("attention.head_count"), 1
        )

    @property
    def biased(self) -> bool:
        """Whether queries, keys and values have a bias, which only the tensors tell."""
        return "blk.0.attn_q.bias" in self.names or "blk.0.attn_qkv.bias" in self.names

    @property
    def vocabulary(self) -> int:
        """Tokens: what the file says, or how many it lists, or the rows of the embedding."""
        stated = self.whole("vocab_size") or self.metadata.length(TOKENS) or self.rows("token_embd.weight")
        if stated is None:
            raise UndeclaredError("says nowhere how many tokens there are", where=self.metadata.where)
        return stated


def shortest(value: float) -> float:
    """The shortest decimal that is stored as the same float32; what is an integer or no float32 stays."""
    for digits in range(6, 10):
        rounded = float(f"{value:.{digits}g}")
        try:
            if pack("<f", rounded) == pack("<f", value):
                return rounded
        except OverflowError:
            break
    return value
