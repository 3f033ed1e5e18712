"""Memory of weights is used again only when nothing refers to it; conversions are torch's own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import weightscope
from weightscope import pool
from weightscope.pool import ROOM, Pool, converted, empty, pooled

TOKENS = [7, 3, 99, 0, 42]


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    memory = Pool()
    first = memory.take(4096)
    place = first.data_ptr()
    row = first.view(torch.float32).reshape(4, 256)[1]
    del first
    assert memory.take(4096).data_ptr() != place
    shown = row.numpy()
    del row
    assert memory.take(4096).data_ptr() != place
    del shown
    assert place in {memory.take(4096).data_ptr(), memory.take(4096).data_ptr()}


def test_a_tensor_that_a_cycle_keeps_is_kept() -> None:
    memory = Pool()
    first = memory.take(4096)
    place = first.data_ptr()
    cycle: list[Any] = [first]
    cycle.append(cycle)
    del first
    assert memory.take(4096).data_ptr() != place
    del cycle
    gc.collect()
    assert place in {memory.take(4096).data_ptr(), memory.take(4096).data_ptr()}


def test_no_more_is_held_than_half_beyond_what_was_in_use() -> None:
    memory = Pool()
    kept = [memory.take(size) for size in (1000, 2000, 3000)]
    del kept
    for size in range(100, 6000, 100):
        taken = memory.take(size)
        held = size + sum(buffer.nbytes for buffer in memory._free)
        assert held <= ROOM * 6000
        del taken


def test_what_is_in_use_is_never_written_over() -> None:
    """Threads that fill what they are given, let some go, and find the rest as they left it."""
    memory, wrong = Pool(), []

    def work(seed: int) -> None:
        draw = np.random.default_rng(seed)
        kept: list[tuple[torch.Tensor, int]] = []
        for number in range(2000):
            tensor = memory.take(int(draw.choice([512, 1024, 4096])))
            value = (seed * 37 + number) % 256
            tensor.fill_(value)
            # A view that outlives the tensor, as roles of a fused matrix do.
            kept.append((tensor[len(tensor) // 2 :], value))
            if len(kept) > 8:
                view, expected = kept.pop(int(draw.integers(len(kept))))
                wrong.extend([number] * (not bool((view == expected).all())))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_is_pooled_within_the_block_and_in_its_context_alone() -> None:
    def place() -> int:
        return empty((pool.SMALL,), torch.uint8).data_ptr()

    with pooled():
        kept = empty((pool.SMALL,), torch.uint8)
        expected = kept.data_ptr()
        del kept
        assert place() == expected
        found: list[int] = []
        thread = threading.Thread(target=copy_context().run, args=(lambda: found.append(place()),))
        thread.start()
        thread.join()
        assert found == [expected]
    assert pool._current.get() is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_conversion_is_torch_s_with_its_strides(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SMALL", 1)
    base = torch.randn(6, 8, 10).bfloat16()
    shapes: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda t: t, lambda t: t[0].T, lambda t: t.transpose(0, 2), lambda t: t[:, 1:5], lambda t: t[::2, 3],
        lambda t: t[0, 0, 0], lambda t: t[:0], lambda t: t[:, :1].expand(6, 8, 10),
    ]  # fmt: skip
    with pooled():
        for shape in shapes:
            ours, theirs = converted(shape(base), dtype), shape(base).to(dtype)
            assert torch.equal(ours, theirs)
            assert (ours.dtype, ours.stride()) == (theirs.dtype, theirs.stride())


@pytest.mark.parametrize(
    "name",
    ["llama", "gpt2", "mixtral", "deepseek_v3", "gpt_oss", "dbrx", "falcon", "gpt_neox", "gemma3n_text-shared", "bloom",
     "glm_moe_dsa-shared", "qwen3_next", "rwkv", "opt-norms-after-narrow"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_logits_are_bit_for_bit_those_without_a_pool(
    name: str, dtype: str, saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes back is filled with NaN, so that a weight that was given back too early shows."""
    monkeypatch.setattr(Pool, "take", lambda self, size: torch.empty(size, dtype=torch.uint8))
    expected = weightscope.open(saved(name)).forward(TOKENS, compute_dtype=dtype).logits
    monkeypatch.undo()
    reused: list[int] = []
    buffer = Pool._buffer

    def poisoned(self: Pool, size: int) -> Any:
        before = len(self._free) + len(self._returned)
        found = buffer(self, size)
        reused.append(before - len(self._free))
        found[:] = 0xFF
        for other in self._free:
            other[:] = 0xFF
        return found

    monkeypatch.setattr(pool, "SMALL", 1)
    monkeypatch.setattr(Pool, "_buffer", poisoned)
    logits = weightscope.open(saved(name)).forward(TOKENS, compute_dtype=dtype).logits
    assert sum(reused) > 0
    assert torch.equal(logits, expected)
