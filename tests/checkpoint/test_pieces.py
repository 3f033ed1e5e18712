"""A tensor of several pieces has the values that NumPy puts together, whole, by rows and by chunks."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from weightscope.checkpoint.entry import FileHeader, Piece, PiecedEntry, TensorEntry
from weightscope.checkpoint.pieces import fill
from weightscope.checkpoint.values import gather_torch, load_bytes, load_numpy, load_torch, read_chunks, read_numpy
from weightscope.errors import CheckpointError

WHOLE = np.arange(7 * 6 * 4, dtype=np.float32).reshape(7, 6, 4)


def header(path: Path) -> FileHeader:
    return FileHeader(path=path, format="pytorch", bytes=path.stat().st_size, data_start=0, tensors={})


def archive(block: np.ndarray[Any, Any]) -> bytes:
    raw = io.BytesIO()
    torch.save(torch.from_numpy(block), raw)
    return raw.getvalue()


def scattered(
    folder: Path, whole: np.ndarray[Any, Any], *cuts: list[int], saved: bool = False
) -> tuple[Any, PiecedEntry]:
    """The tensor cut at these places of its axes, or its flattened self at one axis' places, two files in turn."""
    contents = [bytearray(b"...."), bytearray(b".")]
    pieces = []
    source = whole if len(cuts) == whole.ndim else whole.reshape(-1)
    ends = [list(pairwise([0, *cut, size])) for cut, size in zip(cuts, source.shape, strict=True)]
    boxes: list[list[tuple[int, int]]] = [[]]
    for axis in ends:
        boxes = [[*box, end] for box in boxes for end in axis]
    for number, box in enumerate(boxes):
        block = np.ascontiguousarray(source[tuple(slice(*end) for end in box)])
        content = contents[number % 2]
        raw = archive(block) if saved else block.tobytes()
        place = len(content), len(content) + len(raw)
        content += raw
        pieces.append(Piece(tuple(start for start, _ in box), block.shape, number % 2, place, None, saved))
    files = []
    for number, content in enumerate(contents):
        (folder / f"{number}").write_bytes(content)
        files.append(header(folder / f"{number}"))
    # As readers find them: in no order.
    return files, PiecedEntry("F32", whole.shape, (0, whole.nbytes), pieces=tuple(reversed(pieces)))


CUTS = {
    "blocks": ([3], [2, 5], []),
    "rows": ([1, 2, 6], [], []),
    "columns": ([], [1, 4], []),
    "runs": ([5, 30, 31, 100],),
}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("cuts", CUTS)
def test_the_whole_its_rows_and_its_chunks(tmp_path: Path, cuts: str, saved: bool) -> None:
    files, entry = scattered(tmp_path, WHOLE, *CUTS[cuts], saved=saved)
    assert fill(entry.shape, entry.pieces)
    np.testing.assert_array_equal(load_numpy(files, entry), WHOLE)
    np.testing.assert_array_equal(load_torch(files, entry).numpy(), WHOLE)
    for rows in (slice(0, 1), slice(1, 6), slice(6, 7), slice(3, 3), slice(2, 99)):
        np.testing.assert_array_equal(load_torch(files, entry, rows).numpy(), WHOLE[rows])
    np.testing.assert_array_equal(read_numpy(files, entry, (2, slice(1, 3))), WHOLE[2, 1:3])
    np.testing.assert_array_equal(gather_torch(files, entry, torch.tensor([6, 0])).numpy(), WHOLE[[6, 0]])
    assert b"".join(part.tobytes() for part in read_chunks(files, entry, 250)) == WHOLE.tobytes()


@pytest.mark.parametrize("saved", [False, True])
def test_a_scalar(tmp_path: Path, saved: bool) -> None:
    files, entry = scattered(tmp_path, np.array(3.5, np.float32), [], saved=saved)
    assert fill(entry.shape, entry.pieces)
    assert load_torch(files, entry).item() == 3.5
    assert load_bytes(files, entry).tobytes() == np.float32(3.5).tobytes()


def test_blocks_that_are_views_of_their_storage(tmp_path: Path) -> None:
    """Half a matrix as a rank saves it that holds a view: its neighbours are in the file."""
    base = torch.arange(60.0).reshape(5, 12)
    raw = archive(base.numpy())
    (tmp_path / "plain").write_bytes(base.numpy().tobytes())
    pieces = tuple(Piece((0, at), (5, 6), 0, (at * 4, (4 * 12 + at + 6) * 4), (12, 1)) for at in (0, 6))
    entry = PiecedEntry("F32", (5, 12), (0, 240), pieces=pieces)
    assert len(raw) > 240
    assert torch.equal(load_torch([header(tmp_path / "plain")], entry), base)
    assert torch.equal(load_torch([header(tmp_path / "plain")], entry, slice(1, 3)), base[1:3])


@pytest.mark.parametrize(
    ("shape", "boxes", "whole"),
    [
        ((4, 4), [((0, 0), (4, 4))], True),
        ((4, 4), [((0, 0), (2, 4)), ((2, 0), (2, 3)), ((2, 3), (2, 1))], True),
        ((4, 4), [((0, 0), (2, 4))], False),
        ((4, 4), [((0, 0), (2, 4)), ((1, 0), (2, 4))], False),
        ((4, 4), [((0, 0), (4, 2)), ((0, 0), (4, 2))], False),
        ((4, 4), [((0, 0), (4, 2)), ((0, 2), (4, 3))], False),
        ((4, 4), [((0,), (5,)), ((5,), (11,))], True),
        ((4, 4), [((0,), (5,)), ((5,), (10,))], False),
        ((4, 4), [((0,), (8,)), ((2, 0), (2, 4))], False),
        ((4, 0), [], True),
        ((4, 4), [], False),
        ((), [((0,), (1,))], True),
    ],
)
def test_whether_pieces_fill_a_tensor(shape: tuple[int, ...], boxes: list[Any], whole: bool) -> None:
    assert fill(shape, [Piece(start, size, 0, (0, 0)) for start, size in boxes]) is whole


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (np.zeros(5, np.float32), r"hold F32 \[5\], not F32 \[4\]"),
        (np.zeros(4, np.float16), r"hold F16 \[4\], not F32 \[4\]"),
    ],
)
def test_an_archive_that_is_not_what_was_said(tmp_path: Path, block: np.ndarray[Any, Any], words: str) -> None:
    raw = archive(block)
    (tmp_path / "rank").write_bytes(raw)
    entry = PiecedEntry("F32", (4,), (0, 16), pieces=(Piece((0,), (4,), 0, (0, len(raw)), None, saved=True),))
    with pytest.raises(CheckpointError, match=words):
        load_numpy([header(tmp_path / "rank")], entry)


def test_a_file_that_ends_before_a_piece(tmp_path: Path) -> None:
    files, entry = scattered(tmp_path, WHOLE, *CUTS["rows"], saved=True)
    (tmp_path / "1").write_bytes((tmp_path / "1").read_bytes()[:-300])
    with pytest.raises(CheckpointError) as caught:
        load_numpy(files, entry)
    assert caught.value.code == "truncated-file"


def test_rows_of_a_view_read_no_more_than_them(tmp_path: Path) -> None:
    """Each slab of a transposed tensor ends with its last element."""
    from weightscope.checkpoint.spans import some_rows

    part = some_rows(TensorEntry("F32", (12, 5), (100, 340), (1, 12)), slice(2, 4))
    assert part.data_offsets == (108, 108 + (1 + 4 * 12 + 1) * 4)
