"""The reference forward pass: the declared model on tokens, its weights streamed from the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import read_torch
from weightscope.components.decoder import CausalLM
from weightscope.components.running import At
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, UsageError
from weightscope.families.registry import Declaration
from weightscope.storage.base import Kind

if TYPE_CHECKING:
    import torch


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass gave: float32 logits [tokens, vocabulary]."""

    logits: torch.Tensor


class Weights:
    """The tensors of a checkpoint, quantization undone; each is read when it is asked for."""

    def __init__(self, checkpoint: Checkpoint, declaration: Declaration) -> None:
        self._checkpoint = checkpoint
        self._scheme = declaration.scheme
        scales = (slot for slot in declaration.slots if slot.stored.kind is Kind.SCALE)
        self._scaled = {name.rpartition(".")[0] for slot in scales for name in slot.names()} if self._scheme else set()

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor in its stored layout.

        Raises:
            CheckpointError: it is in no file.
        """
        module, _, leaf = name.rpartition(".")
        if self._scheme and leaf == "weight" and module in self._scaled:
            return self._scheme.read(name, self._raw)
        return self._raw(name)

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds it."""
        return name in self._checkpoint.tensors

    def _raw(self, name: str) -> torch.Tensor:
        entry = self._checkpoint.tensors.get(name)
        if entry is None:
            raise CheckpointError(
                f"the forward pass needs {name}, which is in no file",
                where=self._checkpoint.path,
                hint="`weightscope check` says what else is missing",
                code="missing-tensor",
            )
        file = self._checkpoint.files[entry.file]
        return read_torch(file.path, file.data_start, entry)


def run_forward(declaration: Declaration, checkpoint: Checkpoint, tokens: Sequence[int]) -> Result:
    """Logits of one sequence in float32 on the CPU.

    Raises:
        UsageError: no tokens, or ids beyond the vocabulary or the learned positions.
        NotImplementedByWeightscope: an architecture, activation or rope scaling that has no maths here, by name.
        CheckpointError: a tensor on the way is missing or of another shape.
    """
    tree = declaration.tree
    if not isinstance(tree, CausalLM):
        raise NotImplementedByWeightscope(f"the forward pass of {declaration.family.model_type} is not implemented")
    rows = int(tree.decoder.embedding.rows)
    if not tokens:
        raise UsageError("no tokens to run on")
    beyond = [token for token in tokens if not 0 <= token < rows]
    if beyond:
        raise UsageError(f"token {beyond[0]} is not among the {rows:,} of the vocabulary")
    if tree.decoder.positions and len(tokens) > tree.decoder.positions.rows:
        raise UsageError(f"{len(tokens):,} tokens are more than the {tree.decoder.positions.rows:,} learned positions")
    import torch

    scope = Weights(checkpoint, declaration)
    with torch.no_grad():
        logits = tree.forward(torch.tensor(list(tokens)), At(scope=scope, dtype=torch.float32))
    return Result(logits=logits)
