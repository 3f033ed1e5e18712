"""Weights as they are read: only what is needed, once, ahead, and no more in memory than a block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import weightscope
from weightscope.analyses.forward import stream as streaming
from weightscope.analyses.forward.measuring import MARKS, random_signs
from weightscope.analyses.forward.stream import Stream
from weightscope.checkpoint.values import load_torch

TOKENS = [7, 3, 99, 0, 42]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, str]]:
    """Bytes from and to, relative to the data, and the thread of every read."""
    found: list[tuple[int, int, str]] = []

    def load(files: Any, entry: Any, rows: slice | None = None, *, pinned: bool = False) -> torch.Tensor:
        found.append((*entry.data_offsets, threading.current_thread().name))
        return load_torch(files, entry, rows, pinned=pinned)

    monkeypatch.setattr(streaming, "load_torch", load)
    return found


def test_each_tensor_is_read_once_and_blocks_ahead(saved: Callable[[str], Path], loads: list[Any]) -> None:
    model = weightscope.open(saved("llama"))
    model.forward(TOKENS)
    places = [(start, stop) for start, stop, _ in loads]
    assert len(places) == len(set(places))
    # All but the embedding, whose rows are gathered.
    assert len(places) == len(model.tensors) - 1
    ahead = {(start, stop) for start, stop, thread in loads if thread.startswith("weightscope-reader")}
    later = {n: t.entry.data_offsets for n, t in model.tensors.items() if ".layers.1." in n or ".layers.2." in n}
    assert set(later.values()) <= ahead


@pytest.mark.parametrize("name", ["mixtral", "deepseek_v3"])
def test_only_routed_experts_are_read(name: str, saved: Callable[[str], Path], loads: list[Any]) -> None:
    model = weightscope.open(saved(name))
    result = model.forward(TOKENS[:1])
    read = {(start, stop) for start, stop, _ in loads}
    experts = [n for n, t in model.tensors.items() if ".experts." in n and t.entry.data_offsets in read]
    layers = sum(stage.stage.endswith("moe") for stage in result.stages)
    # One token, two experts, three matrices each.
    assert len(experts) == layers * 2 * 3


def test_tied_heads_read_slabs_of_the_embedding(saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from weightscope.components import running

    expected = weightscope.open(saved("llama-tied")).forward(TOKENS).logits
    monkeypatch.setattr(running, "SLAB_ELEMENTS", 24 * 17)
    slabs: list[Any] = []
    rows = Stream.rows

    def noted(self: Stream, name: str, index: Any) -> torch.Tensor:
        slabs.append(index)
        return rows(self, name, index)

    monkeypatch.setattr(Stream, "rows", noted)
    logits = weightscope.open(saved("llama-tied")).forward(TOKENS).logits
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    assert [(s.start, s.stop) for s in slabs if isinstance(s, slice)] == [
        (0, 17), (17, 34), (34, 51), (51, 68), (68, 85), (85, 101),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_rows_are_those_of_the_safetensors_library(name: str, saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved(name))
    assert model.declaration
    embedding = "model.embed_tokens.weight" if name == "llama" else "transformer.wte.weight"
    whole = load_file(saved(name) / "model.safetensors")[embedding]
    with Stream(model.checkpoint, model.declaration, torch.device("cpu")) as stream:
        assert torch.equal(stream.rows(embedding, slice(3, 9)), whole[3:9])
        assert torch.equal(stream.rows(embedding, torch.tensor([5, 0, 5])), whole[[5, 0, 5]])
        stream.ahead([embedding], slice(3, 9))
        assert torch.equal(stream.rows(embedding, slice(3, 9)), whole[3:9])
        assert torch.equal(stream.tensor(embedding), whole)
        assert stream.taken == [embedding] * 4


def test_views_in_pytorch_files_are_read_by_rows(tmp_path: Path) -> None:
    """Transposed and sliced views, which are not contiguous in the file."""
    base = torch.arange(60.0).reshape(5, 12)
    torch.save({"t": base.T, "cut": base[1:4, 2:7]}, tmp_path / "model.bin")
    model = weightscope.open(tmp_path / "model.bin")
    for name, expected in (("t", base.T), ("cut", base[1:4, 2:7])):
        tensor = model.tensors[name]
        assert torch.equal(load_torch(tensor.files, tensor.entry), expected)
        for rows in (slice(0, 1), slice(1, 3), slice(2, 99)):
            assert torch.equal(load_torch(tensor.files, tensor.entry, rows), expected[rows])


def test_mlx_tables_are_dequantized_by_rows() -> None:
    fixture = Path(__file__).parents[2] / "fixtures" / "qwen3-mlx-4bit"
    expected = load_file(fixture / "expected" / "dequantized.safetensors")
    model = weightscope.open(fixture)
    assert model.declaration
    name = "lm_head.weight"
    with Stream(model.checkpoint, model.declaration, torch.device("cpu")) as stream:
        torch.testing.assert_close(stream.rows(name, slice(4, 11)), expected[name][4:11].float(), rtol=1e-2, atol=1e-2)
        ids = torch.tensor([9, 2])
        torch.testing.assert_close(stream.rows(name, ids), expected[name][ids].float(), rtol=1e-2, atol=1e-2)


def test_of_the_next_block_no_more_is_read_than_has_been_used(saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved("llama"))
    assert model.declaration
    blocks = [[name for name in model.tensors if f".layers.{layer}." in name] for layer in range(3)]

    def size(names: Iterable[str]) -> int:
        return sum(stop - start for start, stop in (model.tensors[name].entry.data_offsets for name in names))

    with Stream(model.checkpoint, model.declaration, torch.device("cpu")) as stream:
        for block in blocks:
            stream.next_block(block)
        assert [name for name, _, _ in stream._coming] == blocks[0]
        for name in [*blocks[0], *blocks[1]]:
            assert stream.tensor(name).numel()
            assert size(name for name, _, _ in stream._coming) <= size(blocks[0])
        assert {name for name, _, _ in stream._coming} < set(blocks[2])
        # Asked for out of turn, it is read at once.
        assert stream.tensor(blocks[2][-1]).numel()
        assert stream._waiting == {}


def test_what_was_read_ahead_is_dropped_on_the_way_out(saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved("llama"))
    assert model.declaration
    with Stream(model.checkpoint, model.declaration, torch.device("cpu")) as stream:
        stream.ahead(model.tensors)
        stream.ahead(["no.such.tensor"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("weightscope-reader")]


def test_fingerprints_are_the_same_on_every_machine() -> None:
    """splitmix64 from published constants: its first outputs for seed 0 are known (Vigna's reference)."""
    signs = random_signs(3, 0)
    assert signs.shape == (MARKS, 3)
    # 0xE220A8397B1DCDAF is the first output for seed 0; its upper half's lowest bits decide the first row.
    first = [1 if (0xE220A839 >> bit) & 1 else -1 for bit in range(MARKS)]
    assert signs[:, 0].tolist() == first
    # The third output, 0x06C45D188009454F, is the second row's: the even ones are those of the other axis.
    third = [1 if (0x06C45D18 >> bit) & 1 else -1 for bit in range(MARKS)]
    assert signs[:, 1].tolist() == third


def test_fingerprints_are_off_by_as_much_as_outputs_are() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 300, generator=generator)
    ratios = []
    for seed in range(20):
        d = torch.randn(20, 300, generator=torch.Generator().manual_seed(seed)) * 0.01
        marks = [((random_signs(300, 0) @ y.T) * random_signs(20, 1)).sum(1) / y.numel() ** 0.5 for y in (x, x + d)]
        off = float((marks[1] - marks[0]).square().mean().sqrt())
        ratios.append(off / 0.01)
    assert 0.7 < sum(ratios) / len(ratios) < 1.3
    assert min(ratios) > 0.2


def test_progress_says_what_is_computed_and_what_is_read(saved: Callable[[str], Path]) -> None:
    seen: list[tuple[int, int, str]] = []
    weightscope.open(saved("llama")).forward(TOKENS, progress=lambda *step: seen.append(step))
    assert seen == [
        (0, 3, "layer 0, reading model.layers.1"),
        (1, 3, "layer 1, reading model.layers.2"),
        (2, 3, "layer 2"),
    ]


def test_a_pass_that_measures_nothing(saved: Callable[[str], Path]) -> None:
    model = weightscope.open(saved("llama"))
    plain, measured = model.forward(TOKENS, measure=False), model.forward(TOKENS)
    assert torch.equal(plain.logits, measured.logits)
    assert (plain.stages, plain.finite) == ((), True)
