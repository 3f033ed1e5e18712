"""What people keep beside their weights: harmless values become markers with a note; what could run is refused."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import decimal
import fractions
import io
import pathlib
import pickle
import struct
import types
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoint.test_pytorch import assert_same, both_formats, legacy, saved
from weightscope.checkpoint.pickle_harmless import HARMLESS
from weightscope.checkpoint.pytorch import read_pytorch
from weightscope.errors import CheckpointError

pytestmark = pytest.mark.filterwarnings("ignore")

T = torch.arange(4.0)
UTC = dt.UTC
STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04NtQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE + b"K\x00K\x04\x85K\x01\x85tR"
VALUES: dict[str, tuple[object, str]] = {
    "scalar": (np.float32(1), "NumPy values"),
    "flag": (np.True_, "NumPy values"),
    "array": (np.arange(300, dtype=np.int64).reshape(3, 100), "NumPy values"),
    "order": (np.asfortranarray(np.ones((2, 3))), "NumPy values"),
    "texts": (np.array(["a", "bc"]), "NumPy values"),
    "objects": (np.array([None, {"a": 1}], dtype=object), "NumPy values"),
    "element type": (np.dtype("float16"), "NumPy values"),
    "date": (np.datetime64("2020-01-01"), "NumPy values"),
    "random state": (np.random.RandomState(0), "NumPy random states, NumPy values"),
    "generator": (np.random.default_rng(0), "NumPy random states, NumPy values"),
    "namespace": (argparse.Namespace(lr=0.1, data={"root": "x"}), "argparse.Namespace"),
    "simple namespace": (types.SimpleNamespace(a=[1, 2]), "types.SimpleNamespace"),
    "path": (pathlib.Path("/data/run"), "pathlib paths"),
    "windows path": (pathlib.PureWindowsPath("C:/data"), "pathlib paths"),
    "time": (dt.datetime(2020, 1, 2, tzinfo=UTC), "dates and times"),
    "span": (dt.timedelta(seconds=3), "dates and times"),
    "decimal": (decimal.Decimal("1.5"), "decimal numbers and fractions"),
    "fraction": (fractions.Fraction(1, 3), "decimal numbers and fractions"),
    "uuid": (uuid.UUID(int=3), "uuid.UUID"),
    "bytes": (io.BytesIO(b"ab\xff"), "bytes in memory"),
    "chain": (collections.ChainMap({"a": 1}), "collections.ChainMap"),
    "user dict": (collections.UserDict({"a": 1}), "collections.UserDict"),
}
QUIET: dict[str, object] = {
    "deque": collections.deque([1, 2], 3),
    "counter": collections.Counter("aab"),
    "ordered": collections.OrderedDict(a=1),
    "default": collections.defaultdict(list, {"a": [1]}),
    "type of numbers": np.float64,
    "class of an element type": type(np.dtype("int8")),
    "ellipsis": ...,
}


@both_formats
@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize(("value", "kinds"), VALUES.values(), ids=VALUES)
def test_a_harmless_value_becomes_a_marker(
    value: object, kinds: str, protocol: int, form: bool, tmp_path: Path
) -> None:
    path = saved(tmp_path / "some.pt", {"args": value, "a": T, "again": [value]}, form, protocol)
    header = read_pytorch(path)
    assert_same(path, header, {"a": T})
    note = header.notes[0]
    assert note.startswith("also holds ")
    assert all(kind in note for kind in kinds.split(", "))
    assert "at 'args'" in note


@both_formats
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", QUIET.values(), ids=QUIET)
def test_plain_values_need_no_note(value: object, protocol: int, form: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "some.pt", {"args": value, "a": T}, form, protocol)
    header = read_pytorch(path)
    assert_same(path, header, {"a": T})
    assert header.notes == ()


def test_protocol_0_writes_objects_another_way(tmp_path: Path) -> None:
    body = pickle.dumps({"args": argparse.Namespace(lr=0.1), "at": pathlib.PurePosixPath("a")}, 0)
    assert b"copy_reg\n_reconstructor" in body
    path = tmp_path / "some.pt"
    content = b"\x80\x02}(U\x01a" + TENSOR + b"U\x04rest" + body[:-1] + b"u."
    path.write_bytes(legacy(content, storages={"0": 4}, data=struct.pack("<4f", *range(4))))
    header = read_pytorch(path)
    assert_same(path, header, {"a": T})
    assert "argparse.Namespace" in header.notes[0]


def test_settings_of_omegaconf(tmp_path: Path) -> None:
    """As omegaconf 2.3 pickles a DictConfig: the names and the states that its containers and nodes have."""
    node = b"comegaconf.nodes\nAnyNode\n)\x81}U\x04_val" + b"K\x01sb"
    metadata = (
        b"comegaconf.base\nContainerMetadata\n)\x81}(U\x08ref_typectyping\nAny\nU\x0bobject_typec__builtin__\ndict\nub"
    )
    config = (
        b"comegaconf.dictconfig\nDictConfig\n)\x81}(U\x09_metadata" + metadata + b"U\x08_content}U\x01w" + node + b"sub"
    )
    path = tmp_path / "some.ckpt"
    content = b"\x80\x02}(U\x0astate_dict}U\x01a" + TENSOR + b"sU\x03cfg" + config + b"u."
    path.write_bytes(legacy(content, storages={"0": 4}, data=struct.pack("<4f", *range(4))))
    header = read_pytorch(path)
    assert_same(path, header, {"a": T})
    assert header.notes == ("also holds omegaconf settings at 'cfg', which weightscope ignores",)


def test_settings_of_lightning(tmp_path: Path) -> None:
    body = b"clightning_fabric.utilities.data\nAttributeDict\n)\x81(U\x02lrK\x01U\x05widthK\x02u"
    path = tmp_path / "some.ckpt"
    content = b"\x80\x02}(U\x0astate_dict}U\x01a" + TENSOR + b"sU\x10hyper_parameters" + body + b"u."
    path.write_bytes(legacy(content, storages={"0": 4}, data=struct.pack("<4f", *range(4))))
    header = read_pytorch(path)
    assert_same(path, header, {"a": T})
    assert header.notes == ()


def test_arrays_alone_are_no_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="contains no tensors that weightscope reads, only NumPy values"):
        read_pytorch(saved(tmp_path / "some.pt", {"w": np.ones(3)}))


DANGEROUS = (
    "os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "builtins.getattr",
    "builtins.__import__", "builtins.open", "builtins.compile", "builtins.type", "builtins.map", "builtins.setattr",
    "__builtin__.eval", "__builtin__.apply", "__builtin__.file", "__builtin__.getattr", "operator.attrgetter",
    "operator.methodcaller", "functools.partial", "torch.load", "torch.hub.load", "torch.storage._load_from_bytes",
    "torch.jit.load", "torch.nn.modules.linear.Linear", "torch._utils._rebuild_hooks", "numpy.load", "numpy.fromfile",
    "numpy.testing._private.utils.runstring", "numpy.f2py.crackfortran.eval", "pathlib.os.system", "pickle.loads",
    "datetime.sys.modules", "argparse.ArgumentParser", "argparse.FileType", "collections.namedtuple", "types.CodeType",
    "types.FunctionType", "uuid._popen", "zoneinfo.ZoneInfo", "omegaconf.OmegaConf.resolve", "copyreg._reduce_ex",
    "copyreg.__dict__", "importlib.import_module", "runpy._run_code", "webbrowser.open", "shutil.rmtree",
    "io.open", "io.open_code", "_io.FileIO",
)  # fmt: skip


@pytest.mark.parametrize("wrap", [
    lambda name: name + b")R",
    lambda name: name,
    lambda name: b"ccopy_reg\n_reconstructor\n" + name + b"c__builtin__\nobject\nN\x87R",
    lambda name: b"cargparse\nNamespace\n)\x81}U\x01x" + name + b"(S'x'\ntRsb",
], ids=["called", "as a value", "reconstructed", "within a harmless value"])  # fmt: skip
@pytest.mark.parametrize("name", DANGEROUS)
def test_what_could_run_is_refused(name: str, wrap: Callable[[bytes], bytes], tmp_path: Path) -> None:
    module, _, last = name.rpartition(".")
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(b"\x80\x02}U\x01a" + wrap(f"c{module}\n{last}\n".encode()) + b"s."))
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")) as raised:
        read_pytorch(path)
    assert raised.value.code == "unsafe-pickle"


def test_nothing_that_could_run_is_listed() -> None:
    modules = {name.rpartition(".")[0].partition(".")[0] for name in HARMLESS}
    assert modules == {
        "numpy", "argparse", "types", "pathlib", "datetime", "decimal", "fractions", "uuid", "omegaconf", "collections",
        "UserDict", "UserList", "copyreg", "copy_reg", "typing", "pytorch_lightning", "lightning", "lightning_fabric",
        # Enums and tuples of numbers, of the standard library and of trainers.
        "signal", "deepspeed", "megatron",
        # Bytes in memory alone: `io.open` and `io.FileIO` are in the list above.
        "io", "_io",
    }  # fmt: skip
    assert not HARMLESS.keys() & set(DANGEROUS)


def test_markers_count_as_what_is_built(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(b"\x80\x02](cargparse\nNamespace\nq\x00" + b"h\x00)R" * 2_000_000 + b"e."))
    with pytest.raises(CheckpointError, match="builds more than"):
        read_pytorch(path)


TEXT_PICKLES = {
    "system": b"cos\nsystem\n(S'true'\ntR.",
    "system by protocol 1": b"cos\nsystem\nq\x00(U\x04trueq\x01tq\x02Rq\x03.",
    "instance": b"(S'true'\nios\nsystem\np0\n.",
    "instance of nothing": b"(iposix\nsystem\np0\n.",
    "within a dict": b"(dp0\nS'a'\np1\ncposix\nsystem\np2\n(S'true'\np3\ntp4\nRp5\ns.",
    "within a list of protocol 1": b"]q\x00(cposix\nsystem\nq\x01(U\x04truetRe.",
    "binary": pickle.dumps(print, 2),
    "framed": pickle.dumps(print, 4),
}


@pytest.mark.parametrize("suffix", ["bin", "pt", "safetensors"])
@pytest.mark.parametrize("content", TEXT_PICKLES.values(), ids=TEXT_PICKLES)
def test_a_pickle_of_any_protocol_is_a_pickle(content: bytes, suffix: str, tmp_path: Path) -> None:
    from weightscope.checkpoint.header import read_header

    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="its pickle names") as raised:
        read_header(path)
    assert raised.value.code == "unsafe-pickle"


@pytest.mark.parametrize(
    "text", [b"cat\ndog\nbird\n", b"config\nmodel\nweights\n", b"(a note)\n" * 4, b"[1, 2, 3] and"]
)
def test_text_is_no_pickle(text: bytes, tmp_path: Path) -> None:
    from weightscope.checkpoint.header import read_header

    (tmp_path / "model.bin").write_bytes(text)
    with pytest.raises(CheckpointError, match="text, not weights"):
        read_header(tmp_path / "model.bin")
