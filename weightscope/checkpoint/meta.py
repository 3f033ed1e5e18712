"""Meta's own releases: `consolidated.NN.pth`, each with its part of every matrix, as tensor parallelism cut it.

Sources: meta-llama/llama `llama/model.py` and llama-models `models/llama3/model.py`: which matrices are column-parallel
(cut by rows, since torch stores (out, in)) and which row-parallel (by columns). Llama 1 and 2 cut the embedding by
columns, Llama 3 by rows: the model's width, which the norms have, tells which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from weightscope.checkpoint.candidates import RELEASE
from weightscope.checkpoint.entry import FileHeader, TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.checkpoint.header import numbered
from weightscope.checkpoint.pytorch import read_pytorch
from weightscope.checkpoint.tensor_parallel import Split, fits, put_together
from weightscope.checkpoint.together import Together
from weightscope.errors import CheckpointError
from weightscope.findings import Finding

# Ends of names -> the axis along which the files cut the matrix; what is not here is in each file whole.
_AXES = {
    **dict.fromkeys(("wq.weight", "wk.weight", "wv.weight", "w1.weight", "w3.weight", "output.weight"), 0),
    **dict.fromkeys(("wo.weight", "w2.weight"), 1),
}
EMBEDDING, NORM = "tok_embeddings.weight", "norm.weight"


def read(folder: Folder, paths: tuple[Path, ...]) -> Together:  # noqa: ARG001 - they lie in it
    """The model in the files of a release; `paths` are those.

    Raises:
        CheckpointError: a file is damaged, or the files do not hold the same tensors.
    """
    numbers = [int(match[1]) for path in paths if (match := re.fullmatch(RELEASE, path.name))]
    files = [numbered(read_pytorch(path), at) for at, path in enumerate(paths)]
    missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
    whole = None if missing else _joined(files)
    findings = [_missing(missing, max(numbers) + 1)] if missing else []
    return Together(files=files, tensors=whole or {}, findings=findings)


def _joined(files: Sequence[FileHeader]) -> dict[str, TensorEntry]:
    first, *others = files
    if not others:
        return dict(first.tensors)
    width = first.tensors[NORM].shape[0] if NORM in first.tensors and first.tensors[NORM].shape else 0
    return {name: _whole(name, files, _axis(name, entry, width)) for name, entry in first.tensors.items()}


def _axis(name: str, entry: TensorEntry, width: int) -> int | None:
    if name == EMBEDDING and len(entry.shape) == 2:
        return 0 if entry.shape[1] == width else 1
    return next((axis for end, axis in _AXES.items() if name.endswith(end) and len(entry.shape) == 2), None)


def _whole(name: str, files: Sequence[FileHeader], axis: int | None) -> TensorEntry:
    parts = [file.tensors[name] for file in files if name in file.tensors]
    if len(parts) != len(files) or not fits(parts, Split(axis=axis)):
        raise CheckpointError(
            f"{name} is not alike in all files of the release",
            where=files[0].path,
            hint="the files are of different models, or one is damaged: download them again",
            code="malformed-header",
        )
    return put_together(parts, Split(axis=axis))


def _missing(missing: Sequence[int], count: int) -> Finding:
    shown = ", ".join(f"consolidated.{number:02}.pth" for number in missing[:3]) + (" …" if len(missing) > 3 else "")
    return Finding(
        code="missing-shard",
        severity="error",
        message=f"{len(missing)} of {count} files of the release are missing: {shown}",
        hint="each file has a part of every matrix, so nothing can be read: finish the download",
    )
