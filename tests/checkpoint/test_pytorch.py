"""PyTorch files read without torch, against what torch itself saved, and files made or damaged to mislead."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weightscope.checkpoint.dtypes import TORCH_NAMES
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.pytorch import looks_like_pytorch, read_pytorch
from weightscope.checkpoint.training import Part
from weightscope.errors import CheckpointError, NotImplementedByWeightscope, WeightscopeError

pytestmark = pytest.mark.filterwarnings("ignore")

ZIP, LEGACY = True, False
both_formats = pytest.mark.parametrize("form", [ZIP, LEGACY], ids=["zip", "legacy"])

DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "uint16": "U16", "int32": "I32", "uint32": "U32",
    "int64": "I64", "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex32": "C32", "complex64": "C64", "complex128": "C128", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}  # fmt: skip


def counted(rest: dict[str, Part]) -> dict[str, int]:
    """The tensors of each part."""
    return {name: part.tensors for name, part in rest.items()}


def saved(path: Path, value: object, form: bool = ZIP, protocol: int = 2) -> Path:
    torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=form)
    return path


def loaded(path: Path, entry: TensorEntry) -> torch.Tensor:
    """The tensor that the entry describes, from the file's bytes."""
    begin, end = entry.data_offsets
    raw = bytearray(path.read_bytes()[begin:end])
    dtype = next(getattr(torch, name) for name, ours in DTYPES.items() if ours == entry.dtype)
    if not raw:
        return torch.empty(entry.shape, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=dtype)
    return flat.reshape(entry.shape) if entry.strides is None else flat.as_strided(entry.shape, entry.strides)


def raw(tensor: torch.Tensor) -> list[int]:
    values: list[int] = tensor.contiguous().flatten().view(torch.uint8).tolist()
    return values


def assert_same(path: Path, header: FileHeader, expected: dict[str, torch.Tensor]) -> None:
    assert list(header.tensors) == list(expected)
    assert (header.format, header.data_start, header.bytes) == ("pytorch", 0, path.stat().st_size)
    for name, tensor in expected.items():
        entry = header.tensors[name]
        assert entry.dtype == DTYPES[str(tensor.dtype).removeprefix("torch.")]
        assert entry.shape == tuple(tensor.shape)
        assert entry.strides == (None if tensor.is_contiguous() else tensor.stride())
        assert raw(loaded(path, entry)) == raw(tensor.detach())


def test_the_dtype_table_is_whole() -> None:
    assert set(DTYPES.values()) == set(TORCH_NAMES.values())


@both_formats
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name: str, form: bool, tmp_path: Path) -> None:
    bits = torch.arange(96, dtype=torch.uint8) % 2 if name == "bool" else torch.arange(96, dtype=torch.uint8)
    tensor = bits.view(getattr(torch, name)).reshape(2, 3, -1)
    path = saved(tmp_path / "some.pt", {"one": tensor, "part": tensor[1:]}, form)
    assert_same(path, read_pytorch(path), {"one": tensor, "part": tensor[1:]})


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).reshape(2, 3, 4)
    return {
        "base": base,
        "transposed": base.transpose(0, 2),
        "sliced": base[:, 1:, ::2],
        "row": base[1],
        "column": base[:, :, 2],
        "expanded": base[:, :, :1].expand(2, 3, 7),
        "all one": torch.tensor(3.0).expand(5, 5),
        "element": base[1, 2, 3],
        "scalar": torch.tensor(5),
        "empty": torch.empty(0),
        "empty matrix": torch.empty(3, 0, 2, dtype=torch.float16),
        "empty end": base[2:],
        "one wide": base[:1, :, :1],
        "overlapping": torch.arange(8).as_strided((3, 3), (1, 1), 2),
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    }


@both_formats
def test_views(form: bool, tmp_path: Path) -> None:
    expected = views()
    path = saved(tmp_path / "some.pt", expected, form)
    assert_same(path, read_pytorch(path), expected)


@both_formats
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol: int, form: bool, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    path = saved(tmp_path / "some.pt", model.state_dict(), form, protocol)
    assert_same(path, read_pytorch(path), model.state_dict())
    assert looks_like_pytorch(path.read_bytes()[:300])


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(5, 4)
        self.untied = torch.nn.Linear(4, 5, bias=False)
        self.head = torch.nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight


@both_formats
def test_tied_weights_share_their_offsets(form: bool, tmp_path: Path) -> None:
    model = Tied()
    path = saved(tmp_path / "some.pt", model.state_dict(), form)
    header = read_pytorch(path)
    assert_same(path, header, model.state_dict())
    offsets = {name: entry.data_offsets for name, entry in header.tensors.items()}
    assert offsets["embed.weight"] == offsets["head.weight"]
    assert offsets["untied.weight"] != offsets["head.weight"]
    assert header.tensors["embed.weight"] is not header.tensors["head.weight"]


@both_formats
def test_parts_of_one_storage_lie_where_they_begin(form: bool, tmp_path: Path) -> None:
    fused = torch.arange(12.0)
    path = saved(tmp_path / "some.pt", {"q": fused[:4], "k": fused[4:], "k again": fused[4:]}, form)
    offsets = {name: entry.data_offsets for name, entry in read_pytorch(path).tensors.items()}
    begin = offsets["q"][0]
    assert offsets == {"q": (begin, begin + 16), "k": (begin + 16, begin + 48), "k again": (begin + 16, begin + 48)}


@both_formats
def test_parameters_and_attributes(form: bool, tmp_path: Path) -> None:
    plain = torch.nn.Parameter(torch.ones(2))
    marked = torch.nn.Parameter(torch.zeros(3))
    marked.note = "kept by torch"  # type: ignore[attr-defined]
    tensor = torch.ones(4)
    tensor.note = "too"  # type: ignore[attr-defined]
    expected = {"plain": plain, "marked": marked, "tensor": tensor}
    path = saved(tmp_path / "some.pt", expected, form)
    assert_same(path, read_pytorch(path), {name: value.detach() for name, value in expected.items()})


@both_formats
def test_training_checkpoint(form: bool, tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    checkpoint = {
        "epoch": 3,
        "best_loss": torch.tensor(0.25),
        "model": model.state_dict(),
        "ema": {name: value.clone() for name, value in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "rng_state": torch.get_rng_state(),
        "dtype": torch.bfloat16,
        "shape": torch.Size([1, 2]),
        "device": torch.device("cpu"),
    }
    path = saved(tmp_path / "some.pt", checkpoint, form)
    header = read_pytorch(path)
    assert_same(path, header, model.state_dict())
    # AdamW keeps a step and two moments for each of two parameters.
    assert counted(header.rest) == {"best_loss": 1, "ema": 2, "optimizer": 6, "rng_state": 1}


T = torch.ones(1)
NESTED: dict[str, tuple[object, list[str], dict[str, int]]] = {
    "flat": ({"a": T, "b.c": T}, ["a", "b.c"], {}),
    "state_dict": ({"state_dict": {"a": T}, "optimizer_states": [{"state": {0: {"m": T * 2}}}]}, ["a"],
                   {"optimizer_states": 1}),
    "two levels": ({"model": {"state_dict": {"a": T}}, "step": 1}, ["a"], {}),
    "preferred": ({"ema": {"a": T * 2}, "model": {"a": T}}, ["a"], {"ema": 1}),
    "ema alone": ({"ema": {"a": T}, "step": 1}, ["a"], {}),
    "ema within": ({"model": {"ema": {"a": T * 2}, "state_dict": {"b": T}}}, ["b"], {"model": 1}),
    "deepspeed": ({"module": {"a": T}, "buffer_names": [], "param_shapes": [{"a": torch.Size([1])}]}, ["a"], {}),
    "megatron": ({"model": {"language_model": {"embedding": {"weight": T}, "encoder": {"b": T}}}, "iteration": 3},
                 ["language_model.embedding.weight", "language_model.encoder.b"], {}),
    "part called model": ({"state_dict": {"model": {"a": T}, "head": {"b": T}}}, ["model.a", "head.b"], {}),
    "own wrapper": ({"generator": {"a": T}, "epoch": 3, "g_optimizer": {"state": {0: {"m": T * 2}}}}, ["a"],
                    {"g_optimizer": 1}),
    "app": ({"app": {"model": {"a": T}, "optim": {"m": T * 2}}}, ["a"], {"app": 1}),
    "several": ({"encoder": {"a": T}, "decoder": {"a": T}}, ["encoder.a", "decoder.a"], {}),
    "lists": ({"layers": [{"w": T}, {"w": T}], "top": (T, T)}, ["layers.0.w", "layers.1.w", "top.0", "top.1"], {}),
    "numbers": ({0: T, 1: {2: T}}, ["0", "1.2"], {}),
    "DataParallel": ({"module.a": T, "module.b": T}, ["module.a", "module.b"], {}),
    "compiled": ({"_orig_mod.a": T, "_orig_mod.b": T}, ["_orig_mod.a", "_orig_mod.b"], {}),
    "Lightning": ({"state_dict": {"model.model.a": T, "model.b": T}}, ["model.model.a", "model.b"], {}),
    "no tensors": ({"model": {"epoch": 1}, "weights": {"a": T}}, ["a"], {}),
    "plain values": ({"a": T, "version": "1", "flag": True, "none": None, "set": {1}, "bytes": b"\xff", "big": 1 << 80,
                      "complex": 1j, "slice": slice(1, 2), "array": bytearray(b"a")}, ["a"], {}),
}  # fmt: skip


@both_formats
@pytest.mark.parametrize(("value", "names", "rest"), NESTED.values(), ids=NESTED)
def test_where_the_weights_are(
    value: object, names: list[str], rest: dict[str, int], form: bool, tmp_path: Path
) -> None:
    header = read_pytorch(saved(tmp_path / "some.pt", value, form))
    assert (list(header.tensors), counted(header.rest)) == (names, rest)


@both_formats
@pytest.mark.parametrize("value", [T, torch.nn.Parameter(T)], ids=["tensor", "parameter"])
def test_a_tensor_alone(value: torch.Tensor, form: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "some.pt", value, form)
    header = read_pytorch(path)
    assert_same(path, header, {"tensor": T})
    assert header.notes == ("holds one tensor without a name; here it is called 'tensor'",)


OPTIMIZER = {"state": {0: {"m": T}}, "param_groups": []}
REFUSED: dict[str, tuple[object, str]] = {
    "no tensors": ({"epoch": 3}, "contains no tensors"),
    "nothing": (None, "contains no tensors"),
    "list": ([T, T, {"a": T}], "a list of 1 tensors"),
    "optimizer": (OPTIMIZER, "is an optimizer's state"),
    "training only": ({"optimizer": OPTIMIZER, "epoch": 1}, "a training loop only"),
    "same name": ({"a.b": T, "a": {"b": T}}, "two tensors named 'a.b'"),
    "same number": ({0: T, "0": T}, "two tensors named '0'"),
    "bytes for a name": ({b"a": T}, "neither text nor a number"),
    "a tuple for a name": ({("a", 1): T}, "neither text nor a number"),
    "surrogate": ({"a\ud800": T}, "not Unicode"),
}


@both_formats
@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_weights_is_refused(value: object, message: str, form: bool, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as raised:
        read_pytorch(saved(tmp_path / "some.pt", value, form))
    assert raised.value.where == str(tmp_path / "some.pt")
    assert raised.value.hint


def quantized() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)


UNSUPPORTED: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "quantized": (quantized, "a quantized tensor at 'layer.weight'"),
    "sparse": (lambda: torch.eye(2).to_sparse(), "a sparse tensor at 'layer.weight'"),
    "csr": (lambda: torch.eye(2).to_sparse_csr(), "a sparse tensor at 'layer.weight'"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(1), torch.ones(2)]), "a nested tensor"),
    "meta": (lambda: torch.empty(2, device="meta"), "a tensor on the meta device"),
    "conjugated": (lambda: torch.ones(2, dtype=torch.complex64).conj(), "conjugated"),
    "negated": (lambda: torch.ones(2, dtype=torch.complex64).conj().imag, "negated"),
    "4 bits": (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "torch.float4_e2m1fn_x2"),
}


@pytest.mark.parametrize(("make", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_unsupported_tensors_are_named(make: Callable[[], torch.Tensor], message: str, tmp_path: Path) -> None:
    with pytest.raises(NotImplementedByWeightscope, match=message) as raised:
        read_pytorch(saved(tmp_path / "some.pt", {"layer.weight": make()}))
    assert raised.value.hint


def test_torchscript_is_named(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(path)  # type: ignore[no-untyped-call]
    with pytest.raises(NotImplementedByWeightscope, match="TorchScript"):
        read_pytorch(path)


@both_formats
def test_a_whole_module_is_unsafe(form: bool, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear") as raised:
        read_pytorch(saved(tmp_path / "some.pt", torch.nn.Linear(1, 1), form))
    assert raised.value.code == "unsafe-pickle"


def test_torch_is_not_imported(tmp_path: Path) -> None:
    path = saved(tmp_path / "some.pt", {"a": T})
    code = (
        "import sys; from pathlib import Path; from weightscope.checkpoint.pytorch import read_pytorch; "
        "read_pytorch(Path(sys.argv[1])); assert not {'torch', 'numpy', 'pickle'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=Path(__file__).parents[2])


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of a zip archive, with what its directory entry claims where that should not be the truth."""

    name: str
    data: bytes
    wide: bool = False
    size: int | None = None
    header: int | None = None
    method: int = 0
    flags: int = 0
    own_name: str | None = None


def archive(*members: Member, count: int | None = None, comment: bytes = b"", wide_end: bool = False) -> bytes:
    """A zip archive written by hand, in the layout that APPNOTE.TXT gives; `wide` entries use zip64."""
    out, directory = io.BytesIO(), io.BytesIO()
    full = 0xFFFFFFFF
    for member in members:
        name, own = member.name.encode(), (member.own_name or member.name).encode()
        header = out.tell() if member.header is None else member.header
        size = len(member.data) if member.size is None else member.size
        padding = b"FB" + struct.pack("<H", 5) + b"Z" * 5
        crc = zlib.crc32(member.data)
        head = struct.pack("<3H2H", 20, member.flags, member.method, 0, 0)
        sizes = len(member.data)
        out.write(b"PK\3\4" + head + struct.pack("<3L2H", crc, sizes, sizes, len(own), len(padding)))
        out.write(own + padding + member.data)
        extra = struct.pack("<2H3Q", 1, 24, size, size, header) if member.wide else b""
        shown = (full, full, full) if member.wide else (size, size, header)
        directory.write(b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<3L", crc, *shown[:2]))
        directory.write(struct.pack("<5H2L", len(name), len(extra), 0, 0, 0, 0, shown[2]) + name + extra)
    start, size, number = out.tell(), len(directory.getvalue()), len(members) if count is None else count
    out.write(directory.getvalue())
    if wide_end:
        end = out.tell()
        out.write(b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, number, number, size, start))
        out.write(b"PK\6\7" + struct.pack("<LQL", 0, end, 1))
        number, size, start = 0xFFFF, full, full
    out.write(b"PK\5\6" + struct.pack("<4H2LH", 0, 0, number, number, size, start, len(comment)) + comment)
    return out.getvalue()


def described(
    *, key: str = "0", kind: str = "FloatStorage", count: int = 4, offset: int = 0, shape: tuple[int, ...] = (2, 2),
    strides: tuple[int, ...] = (2, 1), name: str = "a", extra: bytes = b"",
) -> bytes:  # fmt: skip
    """The pickle of a dict of one tensor; `extra` is put among the dict's items."""

    def value(thing: object) -> bytes:
        return pickle.dumps(thing, 2)[2:-1].replace(b"q\x00", b"").replace(b"q\x01", b"")

    storage = b"(" + value("storage") + f"ctorch\n{kind}\n".encode() + value(key) + value("cpu") + value(count) + b"tQ"
    rest = value(offset) + value(shape) + value(strides) + b"\x89ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"
    return b"\x80\x02}(" + value(name) + tensor + extra + b"u."


PICKLE = Member(name="archive/data.pkl", data=described())
DATA = Member(name="archive/data/0", data=struct.pack("<4f", 1, 2, 3, 4))
EXPECTED = {"a": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}


@pytest.mark.parametrize("wide", [False, True], ids=["zip", "zip64"])
def test_a_zip_written_by_hand(wide: bool, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    members = [Member(name=m.name, data=m.data, wide=wide) for m in (PICKLE, DATA)]
    path.write_bytes(archive(*members, wide_end=wide, comment=b"some comment"))
    assert zipfile.ZipFile(path).testzip() is None
    assert_same(path, read_pytorch(path), EXPECTED)


def test_a_packed_pickle_is_inflated(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", described(), zipfile.ZIP_DEFLATED)
        file.writestr("x/data/0", DATA.data)
    assert_same(path, read_pytorch(path), EXPECTED)


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x/data.pkl", described() + bytes(100 << 20), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", described())
        file.writestr("archive/data/0", DATA.data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def lying_about_inflation() -> bytes:
    return archive(Member(name="archive/data.pkl", data=b"\x03\x00", method=8, size=2), DATA)


def hole(size: int) -> bytes:
    """A directory end that claims `size` bytes of directory, the zip64 way."""
    return archive(PICKLE, DATA, wide_end=True).replace(
        struct.pack("<2Q", 2, 2), struct.pack("<2Q", size // 46, size // 46)
    )


def with_end(**fields: int) -> bytes:
    """A whole archive whose end says something else."""
    data = bytearray(archive(PICKLE, DATA))
    names = {"count": ("<H", 10), "size": ("<L", 12), "start": ("<L", 16)}
    for name, value in fields.items():
        form, at = names[name]
        struct.pack_into(form, data, len(data) - 22 + at, value)
    return bytes(data)


def with_pickle(**claims: Any) -> bytes:
    return archive(Member(name="archive/data.pkl", data=described(**claims)), DATA)


def little(order: bytes) -> bytes:
    return archive(PICKLE, Member(name="archive/byteorder", data=order), DATA)


MISLEADING: dict[str, tuple[bytes, str]] = {
    "missing storage": (archive(PICKLE), "lacks 'archive/data/0'"),
    "compressed storage": (packed(), "'archive/data/0' is compressed"),
    "encrypted": (archive(PICKLE, Member(name=DATA.name, data=DATA.data, flags=1)), "encrypted"),
    "size": (archive(PICKLE, Member(name=DATA.name, data=DATA.data, size=1 << 31)), "reaches into the directory"),
    "size 64": (archive(PICKLE, Member(name=DATA.name, data=DATA.data, size=1 << 63, wide=True)), "reaches into"),
    "storage too short": (archive(PICKLE, Member(name=DATA.name, data=b"\0" * 12)), "has 12 bytes, not 16"),
    "header elsewhere": (archive(PICKLE, Member(name=DATA.name, data=DATA.data, header=7)), "not where the directory"),
    "header beyond": (archive(PICKLE, Member(name=DATA.name, data=b"", header=1 << 40, wide=True)), "not where"),
    "another name": (archive(PICKLE, Member(name=DATA.name, data=DATA.data, own_name="archive/9")), "another name"),
    "twice": (archive(PICKLE, DATA, DATA), "twice"),
    "no pickle": (archive(DATA), "no data.pkl"),
    "two pickles": (archive(PICKLE, Member(name="b/data.pkl", data=b"N.")), "2 data.pkl"),
    "empty": (archive(), "no data.pkl"),
    "bomb": (bomb(), "inflates beyond"),
    "inflation": (lying_about_inflation(), "does not inflate"),
    "count": (with_end(count=7), "lists 2 members and claims 7"),
    "directory size": (with_end(size=1 << 30), "not where its end says"),
    "directory start": (with_end(start=3), "no entry at its byte 0"),
    "directory cut": (with_end(size=50), "within an entry"),
    "absurd count": (hole(1 << 40), "claims"),
    "byte order": (little(b"middle"), "byte order"),
    "byte order size": (little(b"l" * 100), "100 bytes"),
    "offset": (with_pickle(offset=1), "reaches beyond"),
    "shape": (with_pickle(shape=(3, 2)), "reaches beyond"),
    "stride": (with_pickle(strides=(3, 1)), "reaches beyond"),
    "huge shape": (with_pickle(shape=(1 << 62, 1 << 62), strides=(0, 0)), "reaches beyond"),
    "huger": (with_pickle(shape=(1 << 63, 1)), "an invalid s"),
    "negative size": (with_pickle(shape=(-1, 2)), "an invalid s"),
    "negative stride": (with_pickle(strides=(-2, 1)), "an invalid size or stride"),
    "negative offset": (with_pickle(offset=-1), "something other than a storage and an offset"),
    "negative count": (with_pickle(count=-4), "invalid storage"),
    "ranks": (with_pickle(strides=(1,)), "2 sizes and 1 strides"),
    "many dimensions": (with_pickle(shape=(1,) * 65, strides=(1,) * 65), "an invalid shape"),
    "wider type": (with_pickle(kind="DoubleStorage"), "has 16 bytes, not 32"),
    "no such type": (with_pickle(kind="float32"), "invalid storage"),
    "key": (with_pickle(key="../../etc"), "lacks 'archive/data/../../etc'"),
    "two descriptions": (with_pickle(extra=described(count=3, name="b")[4:-2]), "twice, differently"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), MISLEADING.values(), ids=MISLEADING)
def test_a_misleading_archive_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=message) as raised:
        read_pytorch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert raised.value.code == "malformed-header"
    assert peak < 2_000_000


def test_overlapping_storages_are_refused(tmp_path: Path) -> None:
    """Storage 1's whole member lies within the bytes of storage 0."""
    inner = archive(Member(name="archive/data/1", data=DATA.data))
    pickled = Member(name=PICKLE.name, data=described(extra=described(key="1", name="b")[4:-2]))
    outer = Member(name=DATA.name, data=inner)
    at = archive(pickled, outer).index(inner)
    real = archive(pickled, outer, Member(name="archive/data/1", data=b"\0" * 16, header=at))
    (tmp_path / "some.pt").write_bytes(real)
    with pytest.raises(CheckpointError, match="'0' and '1' overlap"):
        read_pytorch(tmp_path / "some.pt")


def test_big_endian_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.pt").write_bytes(little(b"big"))
    with pytest.raises(NotImplementedByWeightscope, match="big-endian"):
        read_pytorch(tmp_path / "some.pt")


def test_a_huge_hole_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    with path.open("wb") as file:
        file.write(b"PK\3\4")
        file.seek(1 << 40)
        file.write(b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 1 << 34, 1 << 34, 1 << 39, 1 << 20))
        file.write(b"PK\6\7" + struct.pack("<LQL", 0, 1 << 40, 1))
        file.write(b"PK\5\6" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    with pytest.raises(CheckpointError, match="zip directory of"):
        read_pytorch(path)


def test_a_file_full_of_holes_gives_its_offsets(tmp_path: Path) -> None:
    """A tensor of 8 GiB, more than 32 bits count, without the bytes."""
    path = tmp_path / "some.pt"
    count = 1 << 31
    data = legacy(described(count=count, shape=(count,), strides=(1,)), storages={"0": count})
    with path.open("wb") as file:
        file.write(data)
        file.truncate(len(data) + 4 * count)
    entry = read_pytorch(path).tensors["a"]
    assert (entry.shape, entry.data_offsets) == ((count,), (len(data), len(data) + (1 << 33)))


def legacy(
    body: bytes, *, storages: dict[str, int] | None = None, magic: int = 0x1950A86A20F9469CFC6C, version: int = 1001,
    keys: object = None, data: bytes = b"",
) -> bytes:  # fmt: skip
    """The pickles of torch's old format, and each storage's element count; `data` follows the last one."""
    storages = {} if storages is None else storages
    heads = [magic, version, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2}}]
    out = b"".join(pickle.dumps(head, 2) for head in heads) + body
    out += pickle.dumps(list(storages) if keys is None else keys, 2)
    return out + b"".join(struct.pack("<q", count) for count in storages.values()) + data


def test_a_legacy_file_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(described(), storages={"0": 4}, data=DATA.data))
    assert_same(path, read_pytorch(path), EXPECTED)


def test_a_storage_view_of_torch_0_3(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    view = b"(" + b"U\x01vK\x01K\x02" + b"t"
    body = described(shape=(2,), strides=(1,)).replace(b"tQ", b"N" + b"tQ")
    path.write_bytes(legacy(body.replace(b"NtQ", view + b"tQ"), storages={"0": 4}, data=DATA.data))
    assert_same(path, read_pytorch(path), {"a": torch.tensor([2.0, 3.0])})
    path.write_bytes(legacy(body.replace(b"NtQ", view.replace(b"K\x02", b"K\x04") + b"tQ"), storages={"0": 4}))
    with pytest.raises(CheckpointError, match="reaches beyond"):
        read_pytorch(path)


LEGACY_MISLEADING: dict[str, tuple[bytes, str, str]] = {
    "not torch's": (pickle.dumps({"a": 1}, 2), "torch.save did not write", "malformed-header"),
    "no list": (legacy(described(), keys={"0": 1}), "does not list", "malformed-header"),
    "unknown key": (legacy(described(), storages={"7": 4}), "does not know", "malformed-header"),
    "key twice": (legacy(described(), storages={"0": 4}, keys=["0", "0"], data=DATA.data), "twice", "malformed-header"),
    "odd key": (legacy(described(), keys=[["0"]]), "does not know", "malformed-header"),
    "not listed": (legacy(described()), "lacks storage '0'", "malformed-header"),
    "count": (legacy(described(), storages={"0": 3}, data=DATA.data), "12 bytes, not 16", "malformed-header"),
    "negative": (legacy(described(), storages={"0": -4}, data=DATA.data), "-16 bytes", "malformed-header"),
    "huge": (legacy(described(count=1 << 62), storages={"0": 1 << 62}), "ends within storage '0'", "truncated-file"),
    "no count": (legacy(described(), keys=["0"]), "ends within storage '0'", "truncated-file"),
    "half": (legacy(described(), storages={"0": 4}, data=b"1234567"), "ends within storage", "truncated-file"),
    "no object": (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "in the middle of its pickle", "truncated-file"),
}


@pytest.mark.parametrize(("data", "message", "code"), LEGACY_MISLEADING.values(), ids=LEGACY_MISLEADING)
def test_a_misleading_legacy_file_is_refused(data: bytes, message: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "some.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_pytorch(tmp_path / "some.pt")
    assert raised.value.code == code


def test_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.pt").write_bytes(legacy(described(), version=1002))
    with pytest.raises(NotImplementedByWeightscope, match="version 1002"):
        read_pytorch(tmp_path / "some.pt")


@both_formats
def test_every_truncation_is_refused(form: bool, tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pt", {"a": T, "b": torch.ones(3)}, form).read_bytes()
    path = tmp_path / "cut.pt"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError) as raised:
            read_pytorch(path)
        assert raised.value.code == "truncated-file"


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (b"", False),
        (b"PK\x03\x04....", True),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", True),
        (b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", True),
        (b"L119547037146038801333356L\n.", True),
        (b"\x80\x02}q\x00.", False),
        (b"\x08\0\0\0\0\0\0\0{}", False),
        (b"GGUF", False),
    ],
)
def test_looks_like_pytorch(first: bytes, answer: bool) -> None:
    assert looks_like_pytorch(first) is answer


def test_foreign_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CheckpointError, match=r"was not written by torch\.save: it begins with b'version '"):
        read_pytorch(tmp_path / "some.bin")


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (self.command,)


@both_formats
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("nest", [lambda e: e, lambda e: {"state_dict": {"a": T}, "hook": e}], ids=["alone", "beside"])
def test_an_evil_pickle_runs_nothing(nest: Callable[[Evil], object], protocol: int, form: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = saved(tmp_path / "some.pt", nest(Evil(f"touch {canary}")), form, protocol)
    with pytest.raises(CheckpointError, match=r"names posix\.system") as raised:
        read_pytorch(path)
    assert (raised.value.code, raised.value.where) == ("unsafe-pickle", str(path))
    assert not canary.exists()


def shared(levels: int, core: object) -> object:
    value = core
    for _ in range(levels):
        value = [value, value]
    return value


def test_shared_and_cyclic_containers_cost_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    start = time.process_time()
    header = read_pytorch(saved(path, {"model": {"a": T, "laughs": shared(60, [])}, "history": shared(60, [T * 2])}))
    assert (list(header.tensors), counted(header.rest)) == (["a"], {"history": 1})
    with pytest.raises(CheckpointError, match="in several places"):
        read_pytorch(saved(path, {"a": shared(60, [T])}))
    cycle: dict[str, object] = {"a": T}
    cycle["self"] = cycle
    with pytest.raises(CheckpointError, match="in several places"):
        read_pytorch(saved(path, cycle))
    knot: dict[str, object] = {}
    knot["model"] = knot
    knot["weights"] = {"a": T}
    with pytest.raises(CheckpointError, match="contains itself"):
        read_pytorch(saved(path, knot))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("where", ["weights", "rest"])
def test_deep_nesting(where: str, tmp_path: Path) -> None:
    """A tensor under 100,000 lists; as a value beside the weights it is counted, as one of them it is refused."""
    lists = b"]" * 100_000
    inner = described()[3:-2].removeprefix(b"(X\x01\x00\x00\x00a")
    deep = b"X\x03\x00\x00\x00far" + lists + inner + b"a" * 100_000
    around = b"\x80\x02}(X\x05\x00\x00\x00model" + described()[2:-1] + deep + b"u."
    data = around if where == "rest" else b"\x80\x02}(" + deep + b"u."
    path = tmp_path / "some.pt"
    path.write_bytes(archive(Member(name=PICKLE.name, data=data), DATA))
    if where == "rest":
        assert counted(read_pytorch(path).rest) == {"far": 1}
        return
    with pytest.raises(CheckpointError, match="too deeply, or gives them too long names"):
        read_pytorch(path)


def test_thirty_thousand_tensors_take_about_a_second(tmp_path: Path) -> None:
    block = torch.zeros(2, 3)
    path = saved(tmp_path / "some.pt", {f"model.layers.{i}.mlp.up_proj.weight": block.clone() for i in range(30_000)})
    start = time.process_time()
    header = read_pytorch(path)
    assert len(header.tensors) == 30_000
    assert time.process_time() - start < 6


def small(form: bool) -> bytes:
    buffer = io.BytesIO()
    model = {"model": {"a.weight": torch.arange(6.0).reshape(2, 3).t(), "b": T.half()}, "optimizer": {"m": T.clone()}}
    torch.save(model, buffer, _use_new_zipfile_serialization=form)
    return buffer.getvalue()


SMALL = {form: small(form) for form in (ZIP, LEGACY)}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(SMALL[draw(st.booleans())])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "zero", "remove", "copy"]))
        length = draw(st.integers(1, 24))
        if kind == "flip" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=12))
        elif kind == "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif kind == "remove":
            del data[at : at + length]
        elif kind == "copy":
            data[at:at] = data[draw(st.integers(0, max(0, len(data) - 1))) :][:length]
    return bytes(data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged())
def test_damage_is_refused_or_harmless(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(data)
    outcome: FileHeader | WeightscopeError
    try:
        outcome = read_pytorch(path)
    except WeightscopeError as error:
        outcome = error
    if isinstance(outcome, WeightscopeError):
        assert "\n" not in str(outcome)
        assert outcome.where == str(path)
        return
    for entry in outcome.tensors.values():
        begin, end = entry.data_offsets
        assert 0 <= begin <= end <= len(data)
        assert (begin == end) is (prod(entry.shape) == 0)
        loaded(path, entry)
