"""Safetensors headers: what the safetensors library says of a file is what we say, and what it rejects we reject."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers import F32, FOUR_BYTES, read_safetensors, safetensors_bytes
from weightscope.checkpoint.dtypes import SAFETENSORS_BITS
from weightscope.checkpoint.entry import FileHeader
from weightscope.errors import CheckpointError

# https://github.com/huggingface/safetensors, `Dtype` of safetensors/src/tensor.rs: name, shape, bytes that it takes.
DTYPES = [
    ("BOOL", [3], 3),
    ("F4", [2, 3], 3),
    ("F6_E2M3", [4], 3),
    ("F6_E3M2", [2, 2], 3),
    ("U8", [3], 3),
    ("I8", [3], 3),
    ("F8_E5M2", [3], 3),
    ("F8_E4M3", [3], 3),
    ("F8_E8M0", [3], 3),
    ("F8_E4M3FNUZ", [3], 3),
    ("F8_E5M2FNUZ", [3], 3),
    ("I16", [3], 6),
    ("U16", [3], 6),
    ("F16", [3], 6),
    ("BF16", [3], 6),
    ("I32", [3], 12),
    ("U32", [3], 12),
    ("F32", [3], 12),
    ("C64", [3], 24),
    ("F64", [3], 24),
    ("I64", [3], 24),
    ("U64", [3], 24),
]

deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize

Described = dict[str, tuple[str, tuple[int, ...], bytes]]


def ours(path: Path, header: FileHeader) -> Described:
    """Dtype, shape and bytes by name, as our header places them."""
    raw = path.read_bytes()
    start = header.data_start
    return {
        name: (entry.dtype, entry.shape, raw[start + entry.data_offsets[0] : start + entry.data_offsets[1]])
        for name, entry in header.tensors.items()
    }


def theirs(path: Path) -> Described:
    """The same from the safetensors library, whose header reader is strict Rust."""
    return {
        name: (info["dtype"], tuple(info["shape"]), bytes(info["data"]))
        for name, info in deserialize(path.read_bytes())
    }


def their_metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, "np") as file:
        return file.metadata() or {}


def assert_agrees(path: Path) -> FileHeader:
    header = read_safetensors(path)
    assert ours(path, header) == theirs(path)
    assert header.metadata == their_metadata(path)
    assert (header.format, header.bytes) == ("safetensors", path.stat().st_size)
    assert all(entry.strides is None and entry.file == 0 for entry in header.tensors.values())
    return header


def written(directory: Path, header: dict[str, Any] | str | bytes, data: bytes = b"") -> Path:
    path = directory / "model.safetensors"
    path.write_bytes(safetensors_bytes(header, data))
    return path


def refused(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_safetensors(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_the_dtype_table_is_whole() -> None:
    assert {name for name, _, _ in DTYPES} == set(SAFETENSORS_BITS)


@pytest.mark.parametrize(("dtype", "shape", "size"), DTYPES, ids=[name for name, _, _ in DTYPES])
def test_every_dtype(tmp_path: Path, dtype: str, shape: list[int], size: int) -> None:
    data = bytes(range(1, size + 1))
    path = written(tmp_path, {"t": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}, data)
    assert assert_agrees(path).tensors["t"].dtype == dtype
    with safetensors.safe_open(path, "np") as file:
        assert (file.get_slice("t").get_dtype(), file.get_slice("t").get_shape()) == (dtype, shape)


def test_a_file_of_the_torch_writer(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {
        "b": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 4),
        "a": torch.ones(5, dtype=torch.float8_e4m3fn),
    }
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
    header = assert_agrees(path)
    assert header.metadata == {"format": "pt"}
    assert header.tensors["scalar"].shape == ()
    assert header.tensors["empty"].shape == (0, 4)


def test_a_file_of_the_numpy_writer(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file({"x": np.arange(6, dtype="<i2").reshape(3, 2), "y": np.array([True])}, path)
    assert list(assert_agrees(path).tensors) == ["x", "y"]


@pytest.mark.parametrize(
    ("header", "data", "names"),
    [
        pytest.param("{}", b"", [], id="no tensors"),
        pytest.param("{}      ", b"", [], id="padding"),
        pytest.param('{"__metadata__":{}}', b"", [], id="empty metadata"),
        pytest.param('{"a":@} \n\t\r ', FOUR_BYTES, ["a"], id="any white space as padding"),
        pytest.param('{"__metadata__":{"a":"b"},"a":@}', FOUR_BYTES, ["a"], id="metadata first"),
        pytest.param('{ "__metadata__" : {"a":"b"} , "a":@}', FOUR_BYTES, ["a"], id="metadata first, spaced"),
        pytest.param('{"__metadata__":{"a":"b"} ,\n "a":@}', FOUR_BYTES, ["a"], id="metadata first, new line"),
        pytest.param('{"a":@,"__metadata__":{"a":"b"}}', FOUR_BYTES, ["a"], id="metadata last"),
        pytest.param('{"__metadata__":{"a":"}","b":"{\\"}"},"a":@}', FOUR_BYTES, ["a"], id="metadata with braces"),
        pytest.param('{"__metadata__":{"a":"\\u00e9\\n\\\\"},"a":@}', FOUR_BYTES, ["a"], id="metadata with escapes"),
        pytest.param('{"__metadata__":{"x":"\\"data_offsets\\""},"a":@}', FOUR_BYTES, ["a"], id="offsets in metadata"),
        pytest.param('{"__metadata__":{"data_offsets":"y"},"a":@}', FOUR_BYTES, ["a"], id="offsets as metadata key"),
        pytest.param('{"__metadata__":{"a":"b","a":"c"},"a":@}', FOUR_BYTES, ["a"], id="metadata key twice"),
        pytest.param('{"__metadata__":null,"a":@}', FOUR_BYTES, ["a"], id="metadata null"),
        pytest.param('{"__metadat\\u0061__":{"a":"b"},"a":@}', FOUR_BYTES, ["a"], id="metadata escaped"),
        pytest.param('{"data_offsets":@}', FOUR_BYTES, ["data_offsets"], id="a tensor named as a field"),
        pytest.param('{"":@}', FOUR_BYTES, [""], id="empty name"),
        pytest.param('{"层.权重 é😀":@}', FOUR_BYTES, ["层.权重 é😀"], id="unicode name"),
        pytest.param('{"\\ud83d\\ude00":@}', FOUR_BYTES, ["😀"], id="surrogate pair"),
        pytest.param('{"a\\"b\\\\c\\n":@}', FOUR_BYTES, ['a"b\\c\n'], id="quote and backslash in name"),
        pytest.param(
            '{"a":{"\\u0064type":"F32","shape":[1],"data_offsets":[0,4]}}', FOUR_BYTES, ["a"], id="field escaped"
        ),
        pytest.param(
            '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[9]}}', FOUR_BYTES, ["a"], id="strides"
        ),
        pytest.param('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"file":7}}', FOUR_BYTES, ["a"], id="file"),
        pytest.param(
            '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1,"x":[{}]}}', FOUR_BYTES, ["a"], id="unknown"
        ),
        pytest.param(
            '{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]},"b":@}', FOUR_BYTES, ["a", "b"], id="empty last"
        ),
        pytest.param(
            '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":@}', FOUR_BYTES, ["a", "b"], id="empty first"
        ),
        pytest.param('{"a":{"dtype":"F4","shape":[0],"data_offsets":[0,0]}}', b"", ["a"], id="empty sub-byte"),
        pytest.param(
            f'{{"a":{{"dtype":"F32","shape":[{2**63},0],"data_offsets":[0,0]}}}}', b"", ["a"], id="huge and empty"
        ),
        pytest.param(
            '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":@}', FOUR_BYTES * 2, ["b", "a"], id="any order"
        ),
    ],
)
def test_what_the_format_allows(tmp_path: Path, header: str, data: bytes, names: list[str]) -> None:
    path = written(tmp_path, header.replace("@", json.dumps(F32)), data)
    assert list(assert_agrees(path).tensors) == names


DEEP = "[" * 100_000 + "]" * 100_000


def field(**changed: Any) -> str:
    """A header whose one tensor differs from a sound one in some fields; None leaves a field out."""
    fields = {key: value for key, value in (F32 | changed).items() if value is not None}
    return json.dumps({"weight": fields})


# What is wrong, the header (@ stands for a sound entry), the data, words of the message.
MALFORMED = [
    ("empty", "", b"", "not a JSON object"),
    ("array", "[]", b"", "not a JSON object"),
    ("null", "null", b"", "not a JSON object"),
    ("byte order mark", "\ufeff{}", b"", "not a JSON object"),
    ("cut off", '{"weight":{"dtype"', b"", "not JSON"),
    ("text after", "{}x", b"", "not JSON"),
    ("zero bytes after", "{}\0\0", b"", "not JSON"),
    ("comma at the end", '{"__metadata__":{"a":"b"},}', b"", "not JSON"),
    ("comma missing", '{"__metadata__":{"a":"b"}"weight":@}', FOUR_BYTES, "not JSON"),
    ("vertical tab", '{"__metadata__":{"a":"b"}\x0b}', b"", "not JSON"),
    ("comment", "{/**/}", b"", "not JSON"),
    ("not UTF-8", b'{"\xff":1}', b"", "not UTF-8 at byte 10"),
    ("not UTF-8, unread", b'{"weight":{"\xff":"\xff"}}', b"", "not UTF-8"),
    ("half a surrogate pair", '{"\\ud800":@}', FOUR_BYTES, "not JSON"),
    ("control character", '{"a\nb":@}', FOUR_BYTES, "not JSON"),
    ("NaN", '{"weight":{"shape":[NaN]}}', b"", "not JSON"),
    ("Infinity, unread", '{"weight":{"x":Infinity}}', b"", "not JSON"),
    ("1e999, unread", '{"weight":{"x":1e999}}', b"", "out of range"),
    ("5,000 digits", field().replace("[1]", f"[{'9' * 5000}]"), FOUR_BYTES, "out of range"),
    ("nested arrays", f'{{"weight":{DEEP}}}', b"", "nested too deeply"),
    ("nested objects", '{"a":' * 100_000 + "1" + "}" * 100_000, b"", "nested too deeply"),
    ("nested, unread", field(x=0).replace('"x": 0', f'"x": {DEEP}'), FOUR_BYTES, "nested too deeply"),
    ("nested metadata", f'{{"__metadata__":{{"a":{DEEP}}}}}', b"", "nested too deeply"),
    ("metadata of numbers", '{"__metadata__":{"a":1}}', b"", "strings to strings"),
    ("metadata a list", '{"__metadata__":[]}', b"", "strings to strings"),
    ("metadata a tensor", '{"__metadata__":@}', FOUR_BYTES, "strings to strings"),
    ("metadata twice", '{"__metadata__":{"a":"b"},"__metadata__":{"a":"b"}}', b"", "twice"),
    ("metadata and a tensor of its name", '{"__metadata__":{},"__metadata__":@}', FOUR_BYTES, "twice"),
    ("entry a number", '{"weight":1}', b"", "'weight'"),
    ("entry an empty list", '{"weight":[]}', b"", "'weight'"),
    ("no dtype", field(dtype=None), FOUR_BYTES, "'weight' has no 'dtype'"),
    ("no shape", field(shape=None), FOUR_BYTES, "'weight' has no 'shape'"),
    ("no offsets", field(data_offsets=None), FOUR_BYTES, "'weight' has no 'data_offsets'"),
    ("dtype twice", field().replace('{"d', '{"dtype":"F16","d'), FOUR_BYTES, "'weight' has a field twice"),
    ("shape twice", field().replace('{"d', '{"shape":[9],"d'), FOUR_BYTES, "'weight' has a field twice"),
    ("offsets twice", field().replace('{"d', '{"data_offsets":[0,4],"d'), FOUR_BYTES, "'weight' has a field twice"),
    (
        "dtype by an escape",
        field().replace('{"d', '{"\\u0064type":"I8","d'),
        FOUR_BYTES,
        "'weight' has a field twice",
    ),
    ("unknown dtype", field(dtype="C128"), FOUR_BYTES, "'weight' has unknown dtype 'C128'"),
    ("dtype in lower case", field(dtype="f32"), FOUR_BYTES, "'weight' has unknown dtype 'f32'"),
    ("dtype a number", field(dtype=1), FOUR_BYTES, "'weight'"),
    ("shape null", field().replace("[1]", "null"), FOUR_BYTES, "'weight'"),
    ("shape a number", field(shape=1), FOUR_BYTES, "'weight'"),
    ("shape an empty object", field(shape={}), FOUR_BYTES, "'weight'"),
    ("shape of text", field(shape=["1"]), FOUR_BYTES, "'weight'"),
    ("shape of booleans", field(shape=[True]), FOUR_BYTES, "'weight'"),
    ("negative shape", field(shape=[-1]), FOUR_BYTES, "'weight'"),
    ("two negatives", field(shape=[-1, -1]), FOUR_BYTES, "'weight'"),
    ("float shape", field(shape=[1.0]), FOUR_BYTES, "'weight'"),
    ("float shape, exponent", field().replace("[1]", "[1e0]"), FOUR_BYTES, "'weight'"),
    ("a dimension of 65 bits", field(shape=[2**64, 0], data_offsets=[0, 0]), b"", "'weight' has more elements"),
    ("elements of 80 bits", field(shape=[2**40, 2**40, 0], data_offsets=[0, 0]), b"", "'weight' has more elements"),
    ("60 huge dimensions", field(shape=[10**4000] * 60), FOUR_BYTES, "'weight' has more elements"),
    ("offset of 4,000 digits", field(data_offsets=[0, 10**4000]), FOUR_BYTES, "'weight'"),
    ("one offset", field(data_offsets=[0]), FOUR_BYTES, "'weight'"),
    ("three offsets", field(data_offsets=[0, 4, 8]), FOUR_BYTES, "'weight'"),
    ("offsets an object", field(data_offsets={"0": 4}), FOUR_BYTES, "'weight'"),
    ("negative offset", field(data_offsets=[-4, 0]), FOUR_BYTES, "'weight'"),
    ("float offset", field(data_offsets=[0, 4.0]), FOUR_BYTES, "'weight'"),
    ("offsets reversed", field(data_offsets=[4, 0]), FOUR_BYTES, "'weight'"),
    ("too many bytes", field(data_offsets=[0, 8]), bytes(8), "'weight' is F32 [1], which takes 4 bytes"),
    ("too few bytes", field(shape=[2]), FOUR_BYTES, "'weight' is F32 [2], which takes 8 bytes"),
    ("half a byte", field(dtype="F4", shape=[3], data_offsets=[0, 1]), b"\0", "'weight', F4 [3], does not fill"),
    ("sixths of bytes", field(dtype="F6_E2M3", data_offsets=[0, 1]), b"\0", "'weight', F6_E2M3 [1], does not fill"),
    ("offsets out of range", field(data_offsets=[4, 8]), FOUR_BYTES, "4 bytes before tensor 'weight' belong to none"),
    ("bytes left over", field(), bytes(8), "4 bytes after the last tensor belong to no tensor"),
    ("bytes of no tensor", "{}", b"\0", "1 bytes after the last tensor"),
    ("overlap", f'{{"a":@,{field(data_offsets=[2, 6])[1:]}', bytes(6), "'a' and 'weight' overlap"),
    ("the same bytes", '{"a":@,"weight":@}', FOUR_BYTES, "'a' and 'weight' overlap"),
    ("gap", f'{{"a":@,{field(data_offsets=[6, 10])[1:]}', bytes(10), "2 bytes before tensor 'weight' belong to none"),
    ("empty within", f'{{"a":@,{field(shape=[0], data_offsets=[2, 2])[1:]}', FOUR_BYTES, "'a' and 'weight' overlap"),
]


@pytest.mark.parametrize(
    ("header", "data", "words"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_what_is_malformed(tmp_path: Path, header: str | bytes, data: bytes, words: str) -> None:
    path = written(tmp_path, header.replace("@", json.dumps(F32)) if isinstance(header, str) else header, data)
    with pytest.raises(safetensors.SafetensorError):
        theirs(path)
    error = refused(path)
    assert error.code == "malformed-header"
    assert words in str(error)


def test_data_cut_short(tmp_path: Path) -> None:
    path = written(tmp_path, field(), FOUR_BYTES[:3])
    with pytest.raises(safetensors.SafetensorError):
        theirs(path)
    error = refused(path)
    assert error.code == "truncated-file"
    assert "describes 4 bytes of data, the file holds 3" in str(error)


@pytest.mark.parametrize("name", ["a", "\\u0061"], ids=["plainly", "by an escape"])
@pytest.mark.parametrize("offsets", [[0, 4], [4, 8]])
def test_a_tensor_named_twice(tmp_path: Path, name: str, offsets: list[int]) -> None:
    second = json.dumps(F32 | {"data_offsets": offsets})
    path = written(tmp_path, f'{{"a":{json.dumps(F32)},"{name}":{second}}}', bytes(offsets[1]))
    error = refused(path)
    assert error.code == "duplicate-tensor"
    assert "'a' appears twice" in str(error)


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", "truncated-file", "0 bytes are too few"),
        (b"\x02\0\0\0\0\0\0", "truncated-file", "7 bytes are too few"),
        (b"\x02\0\0\0\0\0\0\0{", "truncated-file", "claims a header of 2 bytes but ends after 9"),
        (b"\x01\xe1\xf5\x05\0\0\0\0{}", "malformed-header", "100,000,001 bytes; the format allows 100,000,000"),
        (b"\xff" * 8 + b"{}", "malformed-header", "claims a header of 18,446,744,073,709,551,615 bytes"),
    ],
)
def test_a_wrong_header_length(tmp_path: Path, raw: bytes, code: str, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    with pytest.raises(safetensors.SafetensorError):
        theirs(path)
    error = refused(path)
    assert error.code == code
    assert words in str(error)


def test_a_header_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((100_000_001).to_bytes(8, "little") + b"{")
    os.truncate(path, 200_000_000)
    tracemalloc.start()
    try:
        assert refused(path).code == "malformed-header"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dimension", [1, 2, 2**62])
def test_a_million_dimensions_take_no_time(tmp_path: Path, dimension: int) -> None:
    path = written(tmp_path, field(shape=[dimension] * 1_000_000), FOUR_BYTES)
    started = time.process_time()
    error = refused(path)
    assert time.process_time() - started < 2
    assert error.code == "malformed-header"
    assert "1,000,000 dimensions" in str(error)
    assert "'weight'" in str(error)


def test_a_huge_name_makes_a_short_message(tmp_path: Path) -> None:
    path = written(tmp_path, {"x" * 40_000_000: {}})
    started = time.process_time()
    assert len(str(refused(path))) <= 600
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ('{"weight":["F32",[1],[0,4]]}', "serde reads a list for a struct; the format has objects"),
        ('{"weight":{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}}', "serde's other spelling of an enum"),
        (field(shape=[1] * 65), "no tensor library has more than 64 dimensions"),
    ],
)
def test_what_the_library_takes_and_we_refuse(tmp_path: Path, header: str, why: str) -> None:
    path = written(tmp_path, header, FOUR_BYTES)
    assert list(theirs(path)) == ["weight"], why
    assert refused(path).code == "malformed-header", why


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (field().replace("[0", "[-0"), "serde calls -0 a float; it is zero"),
        (field(x=0).replace('"x": 0', '"x": ' + "[" * 300 + "]" * 300), "serde stops at 128 levels, also unread ones"),
    ],
)
def test_what_the_library_refuses_and_we_take(tmp_path: Path, header: str, why: str) -> None:
    path = written(tmp_path, header, FOUR_BYTES)
    with pytest.raises(safetensors.SafetensorError):
        theirs(path)
    assert list(read_safetensors(path).tensors) == ["weight"], why


REAL = [
    safetensors.torch.save(
        {
            "model.embed.weight": torch.ones(3, 2),
            "model.norm": torch.ones(2, dtype=torch.bfloat16),
            "s": torch.tensor(1),
        },
        metadata={"format": "pt"},
    ),
    safetensors.torch.save({"w": torch.zeros(2, dtype=torch.int8)}),
]
# Bytes that mean something in a header, and some that do not.
PIECES = st.sampled_from(
    [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"0", b"1", b"9", b"-", b".", b"e", b" ", b"\n", b"\0", b"\xff",
     b"\\u0061", b"null", b"true", b'"dtype"', b'"shape"', b'"data_offsets"', b'"F32"', b'"F4"', b'"__metadata__":{},',
     b'"w":', b'{"dtype":"I8","shape":[2],"data_offsets":[0,2]}', b"\xc3\xa9", b"18446744073709551616"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real file with a few pieces of its header replaced, dropped or put in; its length usually made right again."""
    raw: bytes = draw(st.sampled_from(REAL))
    length = int.from_bytes(raw[:8], "little")
    header, data = bytearray(raw[8 : 8 + length]), raw[8 + length :]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(header)))
        drop = draw(st.integers(0, 4))
        header[at : at + drop] = draw(PIECES | st.just(b""))
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))] + draw(st.binary(max_size=3))
    claimed = len(header) if draw(st.integers(0, 9)) else draw(st.integers(0, 2**64 - 1))
    return claimed.to_bytes(8, "little") + bytes(header) + data


def is_known_difference(raw: bytes) -> bool:
    """The exceptions of the tests above: white space first, -0, a name twice, serde's other spellings."""
    header = raw[8 : 8 + int.from_bytes(raw[:8], "little")]
    if not header.startswith(b"{"):
        return True
    if any(f"{before}-0" in header.decode("utf-8", "replace").replace(" ", "") for before in "[,:"):
        return True
    try:
        names = json.loads(header, object_pairs_hook=lambda pairs: pairs)
    except ValueError:
        return False
    if not all(isinstance(pair, tuple) for pair in names):
        return False
    keys = [name for name, _ in names]
    return len(set(keys)) < len(keys)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=mutated())
@example(raw=safetensors_bytes('{"__metadata__":{"a":"b"},}'))
@example(raw=safetensors_bytes(field(shape={}, data_offsets=[0, 4]), FOUR_BYTES))
@example(raw=safetensors_bytes(field(), FOUR_BYTES + b"x"))
def test_mutated_headers_are_taken_and_refused_as_the_library_does(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    try:
        expected: Described | None = theirs(path)
    except safetensors.SafetensorError:
        expected = None
    try:
        found: Described | None = ours(path, read_safetensors(path))
    except CheckpointError as error:
        found, code, where = None, error.code, error.where
    if found is None:
        assert code in {"truncated-file", "malformed-header", "duplicate-tensor"}
        assert where == str(path)
    if not is_known_difference(raw):
        assert found == expected


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=64))
def test_noise_is_refused_in_words(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError):
        read_safetensors(path)


NAMES = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda name: name != "__metadata__")
SHAPES = st.lists(st.integers(0, 4), max_size=3)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # With empty metadata and no tensors, safetensors 0.8 writes a header that is not JSON, and refuses it itself.
    shapes=st.dictionaries(NAMES, SHAPES, max_size=5),
    metadata=st.none() | st.dictionaries(NAMES, NAMES, min_size=1, max_size=3),
)
def test_whatever_the_library_writes(
    tmp_path: Path, shapes: dict[str, list[int]], metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "model.safetensors"
    arrays = {name: np.arange(int(np.prod(shape)), dtype=np.float16).reshape(shape) for name, shape in shapes.items()}
    safetensors.numpy.save_file(arrays, path, metadata=metadata)
    assert set(assert_agrees(path).tensors) == set(shapes)
