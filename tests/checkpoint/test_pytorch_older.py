"""Files as torch wrote them before 0.4, byte by byte: Python 2 names, parameters with a state, and the tar archive.

The oracle is torch.load, which reads all of them to this day (`Tensor.__setstate__` in torch/_tensor.py, `legacy_load`
in torch/serialization.py).
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from pathlib import Path

import pytest
import torch

from tests.checkpoint.test_pytorch import assert_same, legacy
from weightscope.checkpoint.pytorch import looks_like_pytorch, read_pytorch
from weightscope.errors import CheckpointError, NotImplementedByWeightscope

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = struct.pack("<4f", 1, 2, 3, 4)
STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04NtQ"
STATE = STORAGE + b"K\x00K\x02K\x02\x86K\x02K\x01\x86"
TENSOR = b"ctorch._utils\n_rebuild_tensor\n(" + STATE + b"tR"
NO_HOOKS = b"ccollections\nOrderedDict\n)R"
FORMS = {
    "a tensor made empty, then given its state": b"ctorch\nFloatTensor\n)R(" + STATE + b"tb",
    "the same, remembered before it has its state": b"ctorch\nFloatTensor\n)Rq\x01(" + STATE + b"tb0h\x01",
    "a parameter of a tensor": b"ctorch.nn.parameter\nParameter\n" + TENSOR + b"\x85R",
    "a parameter with its state": b"ctorch.nn.parameter\nParameter\n" + TENSOR + b"\x85R\x88\x89" + NO_HOOKS + b"\x87b",
    "a parameter and whether it is trained": b"ctorch.nn.parameter\nParameter\n" + TENSOR + b"\x89\x86R",
}


def named(value: bytes) -> bytes:
    return b"\x80\x02}U\x01a" + value + b"s."


@pytest.mark.parametrize("value", FORMS.values(), ids=FORMS)
def test_tensors_with_a_state(value: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(named(value), storages={"0": 4}, data=DATA))
    expected = torch.load(path, weights_only=False)
    assert expected["a"].tolist() == [[1, 2], [3, 4]]
    assert_same(path, read_pytorch(path), expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"ctorch\nFloatTensor\n)R", "a tensor without its values"),
        (b"ctorch\nFloatTensor\n)R(K\x01K\x00))tb", "something other than a storage and an offset"),
        (b"ctorch.nn.parameter\nParameter\nK\x01\x85R", "a parameter from something that is not a tensor"),
    ],
)
def test_a_state_that_does_not_fit(value: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(named(value)))
    with pytest.raises(CheckpointError, match=message):
        read_pytorch(path)


@pytest.mark.parametrize(
    "value",
    [
        b"c__builtin__\nlong\n", b"c__builtin__\nunicode\n", b"c__builtin__\nobject\n",
        b"c__builtin__\nxrange\nK\x00K\x04K\x01\x87R",
        b"ctorch.serialization\n_get_layout\nU\rtorch.strided\x85R",
        b"ctorch\nper_tensor_affine\n", b"ctorch\nper_channel_affine_float_qparams\n",
        b"ctorch\nFloatTensor\n", b"ctorch\nHalfTensor\n",
    ],
)  # fmt: skip
def test_values_beside_the_weights(value: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(legacy(b"\x80\x02}(U\x01a" + TENSOR + b"U\x01b" + value + b"u.", storages={"0": 4}, data=DATA))
    assert_same(path, read_pytorch(path), {"a": torch.load(path, weights_only=False)["a"]})


STORAGES = {7: ("torch\nFloatStorage", struct.pack("<6f", *range(6))), 9: ("torch\nLongStorage", struct.pack("<q", 5))}
VIEWS = [(8, 7, 2, 4)]
TENSORS = [
    (1, 7, "FloatTensor", (2, 3), (3, 1), 0),
    (2, 8, "FloatTensor", (2, 2), (1, 2), 0),
    (3, 9, "LongTensor", (1,), (1,), 0),
]


def described(*parts: object) -> bytes:
    """A pickle of a tuple, whose texts with a line feed are names of globals."""
    body = b"".join(
        b"c" + part.encode() + b"\n" if isinstance(part, str) and "\n" in part else pickle.dumps(part, 2)[2:-1]
        for part in parts
    )
    return b"\x80\x02(" + body.replace(b"q\x00", b"") + b"t."


def tar_members(views: object = VIEWS) -> dict[str, bytes]:
    storages = pickle.dumps(len(STORAGES), 2)
    for key, (kind, raw) in STORAGES.items():
        storages += described(key, "cpu", kind) + struct.pack("<q", len(raw) // (4 if "Float" in kind else 8)) + raw
    tensors = pickle.dumps(len(TENSORS), 2)
    for key, storage, kind, shape, strides, offset in TENSORS:
        tensors += described(key, storage, f"torch\n{kind}")
        tensors += struct.pack(f"<ii{len(shape)}q{len(shape)}qq", len(shape), 0, *shape, *strides, offset)
    top = b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(
        b"U\x01" + name + b"U\x01" + str(number).encode() + b"Q" for name, number in ((b"a", 1), (b"b", 2), (b"c", 3))
    )
    return {
        "sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2),
        "pickle": top + b"u.",
        "tensors": tensors,
        "storages": storages + pickle.dumps(views, 2),
    }


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            # A fraction of a second makes Python write an extended header before each member, as torch's files have.
            info.size, info.mtime = len(content), 1.5
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_the_tar_format(tmp_path: Path) -> None:
    path = tmp_path / "some.pth.tar"
    path.write_bytes(tar_of(tar_members()))
    expected = torch.load(path, weights_only=False)
    assert expected["b"].tolist() == [[2, 4], [3, 5]]
    assert_same(path, read_pytorch(path), expected)
    assert looks_like_pytorch(path.read_bytes()[:300])


def replaced(name: str, old: bytes, new: bytes) -> bytes:
    members = tar_members()
    assert old in members[name]
    return tar_of(members | {name: members[name].replace(old, new)})


MISLEADING = {
    "view beyond": (tar_of(tar_members([(8, 7, 3, 4)])), "reaches beyond"),
    "view of nothing": (tar_of(tar_members([(8, 6, 0, 4)])), "an invalid part of a storage"),
    "negative view": (tar_of(tar_members([(8, 7, -1, 4)])), "reaches beyond"),
    "tensor of nothing": (replaced("tensors", b"K\x08", b"K\x06"), "whose storage is missing"),
    "shape": (replaced("tensors", struct.pack("<q", 3), struct.pack("<q", 4)), "reaches beyond"),
    "dimensions": (replaced("tensors", struct.pack("<ii", 2, 0), struct.pack("<ii", 65, 0)), "an invalid shape"),
    "elements": (replaced("storages", struct.pack("<q", 6), struct.pack("<q", -6)), "negative size"),
    "more elements": (replaced("storages", struct.pack("<q", 6), struct.pack("<q", 60)), "ends within its tensors"),
    "count": (replaced("tensors", pickle.dumps(3, 2), pickle.dumps(-3, 2)), "an invalid number of tensors"),
    "reference": (replaced("pickle", b"U\x013Q", b"U\x014Q"), "does not contain"),
    "cut": (tar_of(tar_members())[:3000], "ends within"),
}


@pytest.mark.parametrize(("data", "message"), MISLEADING.values(), ids=MISLEADING)
def test_a_misleading_tar_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_pytorch(path)
    assert raised.value.code in ("malformed-header", "truncated-file")


def test_a_dangerous_pickle_in_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(tar_of(tar_members() | {"pickle": b"cos\nsystem\n(S'true'\ntR."}))
    with pytest.raises(CheckpointError, match=r"names os\.system") as raised:
        read_pytorch(path)
    assert raised.value.code == "unsafe-pickle"


def test_another_tar_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.pth.tar"
    path.write_bytes(tar_of({"model_weights.ckpt": b"", "model_config.yaml": b""}))
    with pytest.raises(NotImplementedByWeightscope, match=r"a tar archive of other files \(model_weights\.ckpt, model"):
        read_pytorch(path)
