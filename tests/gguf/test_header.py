"""Headers of GGUF files: as the gguf library writes and reads them, and as they must be refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

import weightscope
from tests.gguf.written import ARRAY, STRING, U32, U64, array, file, key, tensor, text
from weightscope.checkpoint.gguf import gguf_header
from weightscope.checkpoint.header import read_header
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError

NAME = Path("model.gguf")
FLOATS = struct.pack("<4f", 1, 2, 3, 4)


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "all.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(3)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_add_bos_token(True)
    writer.add_head_count([4, 4, 2])
    writer.add_token_list([f"token {number}" for number in range(5000)])
    writer.add_token_scores([0.5] * 5000)
    writer.add_tensor("a.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("b.weight", np.arange(5, dtype=np.float16))
    writer.add_tensor("c.weight", np.zeros((2, 3, 4), dtype=np.int32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(path)
    assert {name: (entry.dtype, entry.shape) for name, entry in header.tensors.items()} == {
        "a.weight": ("F32", (2, 3)),
        "b.weight": ("F16", (5,)),
        "c.weight": ("I32", (2, 3, 4)),
    }
    for theirs in GGUFReader(path).tensors:
        assert header.data_start + header.tensors[theirs.name].data_offsets[0] == theirs.data_offset
    described = header.described
    assert described is not None
    assert described.architecture == "llama"
    assert described.whole("llama.block_count") == 3
    assert described.number("llama.attention.layer_norm_rms_epsilon") == pytest.approx(1e-5)
    assert described.wholes("llama.attention.head_count") == (4, 4, 2)
    assert described.flag("tokenizer.ggml.add_bos_token") is True
    # Vocabularies are passed over.
    assert described.length("tokenizer.ggml.tokens") == 5000
    assert not {"tokenizer.ggml.tokens", "tokenizer.ggml.scores"} & described.values.keys()


def test_a_vocabulary_longer_than_what_is_read_at_once_is_passed_over() -> None:
    words = b"".join(text("x" * (number % 90)) for number in range(60_000))
    raw = file((key("tokens", ARRAY, array(STRING, 60_000, words)),), (tensor("a", (4,)),), FLOATS)
    header = gguf_header(raw, NAME)
    assert header.tensors["a"].shape == (4,)
    skipped = header.described.arrays["tokens"] if header.described else None
    assert skipped is not None
    assert raw[skipped.start : skipped.stop] == words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"GGUF\x03", "ends after 5 bytes, within its header"),
        (file(counts=(1, 0)), "within its header"),
        (file(counts=(1 << 60, 0)), "claims 1,152,921,504,606,846,976 tensors"),
        (file(counts=(0, 1 << 60)), "claims 1,152,921,504,606,846,976 metadata keys"),
        (file((struct.pack("<Q", 1 << 63) + b"key",)), "a metadata key has 9,223,372,036,854,775,808 bytes"),
        (file((key("k", STRING, struct.pack("<Q", 1 << 62)),)), "the value of 'k' has"),
        (file((key("k", 77, b""),)), "the unknown type 77"),
        (file((key("k", ARRAY, array(77, 1, b"")),)), "an array of the unknown type 77"),
        (file((key("k", ARRAY, array(ARRAY, 1, array(U32, 0, b""))),)), "an array of arrays"),
        (file((key("k", ARRAY, array(STRING, 1 << 50, b"")),)), "claims an array of 1,125,899,906,842,624 elements"),
        (file((key("k", ARRAY, array(U64, 1 << 50, b"")),)), "claims an array of"),
        (file((key("k", ARRAY, array(STRING, 9000, struct.pack("<Q", 1 << 63))),)), "the header goes on after"),
        (file((key("k", ARRAY, array(STRING, 9000, struct.pack("<Q", 9000))),)), "within its header"),
        (file((key("k", U32, b"\0\0\0\0"),) * 2), "the metadata key 'k' appears twice"),
        (file((key(b"\xff\xfe", U32, b"\0\0\0\0"),)), "is not UTF-8"),
        (file((key("general.alignment", U32, struct.pack("<I", 0)),)), "general.alignment is 0"),
        (file((key("general.alignment", U32, struct.pack("<I", 48)),)), "general.alignment is 48"),
        (file((key("general.alignment", U32, struct.pack("<I", 1 << 31)),)), "not a power of two"),
        (file((key("general.alignment", STRING, text("32")),)), "'32', not a whole number"),
        (file((), (tensor("a", (4,)), tensor("a", (4,), 0, 32)), FLOATS * 3), "tensor 'a' appears twice"),
        (file((), (tensor("a" * 600, (4,)),), FLOATS), "a tensor's name has 600 bytes"),
        (file((), (tensor("a", (1,) * 9),), FLOATS), "tensor 'a' has 9 dimensions; 4 are allowed"),
        (file((), (tensor("a", (1 << 40, 1 << 40)),), FLOATS), "more elements than 64 bits"),
        (file((), (tensor("a", (1 << 63,)),), FLOATS), "more elements than 64 bits"),
        (file((), (tensor("a", (33,), 2),), FLOATS), "its rows are not whole blocks of 32"),
        (file((), (tensor("a", (), 12),), FLOATS), "its rows are not whole blocks of 256"),
        (file((), (tensor("a", (4,), 0, 32),), FLOATS * 4), "begins at data byte 32, not at 0"),
        (file((), (tensor("a", (4,)), tensor("b", (4,))), FLOATS * 4), "tensor 'b' begins at data byte 0, not at 32"),
        (file((), (tensor("a", (5,)),), FLOATS), "the header describes 20 bytes of data, the file holds 16"),
        (file((), (tensor("a", (4,)),), FLOATS * 40), "624 bytes after the last tensor belong to no tensor"),
    ],
)  # fmt: skip
def test_what_follows_no_format_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(CheckpointError) as raised:
        gguf_header(raw, NAME)
    assert words in str(raised.value)
    assert raised.value.code in ("malformed-header", "truncated-file", "duplicate-tensor", "config-invalid")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (file(version=1), "a GGUF file of version 1"),
        (file(version=0x03000000), "a GGUF file of a big-endian machine"),
        (file((), (tensor("a", (32,), 4),), FLOATS * 2), "Q4_2, which llama.cpp no longer reads"),
        (file((), (tensor("a", (32,), 99),), FLOATS * 2), "of the unknown type 99"),
    ],
)
def test_what_is_not_known_is_said(raw: bytes, words: str) -> None:
    with pytest.raises(NotImplementedByWeightscope, match=words):
        gguf_header(raw, NAME)


def test_any_end_and_any_changed_byte_is_a_sentence(tmp_path: Path) -> None:
    keys = (key("general.architecture", STRING, text("llama")), key("llama.block_count", U32, struct.pack("<I", 1)))
    whole = file(keys, (tensor("token_embd.weight", (2, 2)),), FLOATS)
    path = tmp_path / "model.gguf"
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        for raw in (whole[:place], bytes(changed)):
            path.write_bytes(raw)
            # Anything else would fail the test.
            with suppress(WeightscopeError):
                weightscope.open(path).summary()
