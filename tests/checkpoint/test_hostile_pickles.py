"""Pickles that build gigabytes out of kilobytes: refused in one line, or read, at little cost in every form."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest

from tests.bounded import assert_cheap, run_bounded

COUNT = 16_700_000
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01t"
    b"QK\x00K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
)
HOSTILE = {
    "marks": b"(" * COUNT + b".",
    "empty lists": b"](" + b"]" * COUNT + b"e.",
    "empty dicts": b"](" + b"}" * COUNT + b"e.",
    "1-tuples": b"](" + b"N\x85" * (COUNT // 2) + b"e.",
    "a nested tuple": b"N" + b"\x85" * COUNT + b".",
    "memo entries": b"N" + b"\x94" * COUNT + b".",
    "references": b"]q\x00(" + b"h\x00" * (COUNT // 2) + b"e.",
    "duplicates": b"](N" + b"2" * COUNT + b"e.",
    "ordered dicts": b"](ccollections\nOrderedDict\nq\x00" + b"h\x00)R" * (COUNT // 4) + b"e.",
    # Under the limit on what is built, and many to look through.
    "tuples beside a tensor": b"}(U\x01a" + TENSOR + b"U\x01b](" + b"N\x85" * 2_000_000 + b"eu.",
    "one container many times": b"}(U\x01a" + TENSOR + b"U\x01b](]q\x00" + b"h\x00" * 6_000_000 + b"eu.",
    "one full container many times": b"}(U\x01a" + TENSOR + b"U\x01b](]Naq\x00" + b"h\x00" * 6_000_000 + b"eu.",
    "one tensor many times": b"}U\x01b](" + TENSOR + b"q\x00" + b"h\x00" * 6_000_000 + b"es.",
    "a long list": b"}(U\x01a" + TENSOR + b"U\x01b](" + b"N" * 6_000_000 + b"eu.",
}


def archive(path: Path, content: bytes, method: int) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("a/data.pkl", content)
        file.writestr(zipfile.ZipInfo("a/data/0"), bytes(4))


def legacy(path: Path, content: bytes) -> None:
    head = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    path.write_bytes(
        b"".join(head) + b"\x80\x02" + content + pickle.dumps(["0"], 2) + (1).to_bytes(8, "little") + bytes(4)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "form"),
    # The pickles within both are read by the same code: of the older form a few are tried.
    [
        (what, form)
        for form in ("deflated", "stored", "legacy")
        for what in list(HOSTILE)[:: 4 if form == "legacy" else 1]
    ],
)
def test_what_multiplies(tmp_path: Path, what: str, form: str) -> None:
    path, content = tmp_path / "pytorch_model.bin", HOSTILE[what]
    if form == "legacy":
        legacy(path, content)
    else:
        archive(path, b"\x80\x02" + content, zipfile.ZIP_DEFLATED if form == "deflated" else zipfile.ZIP_STORED)
    done = run_bounded(tmp_path, "inspect", path)
    assert_cheap(done)
    assert (done.code == 0) == (done.err == "")
    assert done.err.count("\n") <= 1
