"""What a sentence-transformers folder has beside its encoder: pooling in words, and dense layers as models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.checkpoint.folder import LocalFolder
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.errors import NotImplementedByWeightscope, WeightscopeError
from weightscope.findings import Finding

if TYPE_CHECKING:
    from weightscope.analyses.forward.sentences import Dense, Sentences
    from weightscope.api.model import Model


def sentence_parts(checkpoint: Checkpoint) -> tuple[str | None, dict[str, Model]]:
    """How a text becomes a vector, and the dense layers by their folders; what cannot be read is said by `check`."""
    from weightscope.api.opening import open_model

    try:
        said = _read(checkpoint)
        layers = said.dense if said else ()
        return said.words if said else None, {layer.folder.name: open_model(layer.folder) for layer in layers}
    except WeightscopeError:
        return None, {}


def sentence_findings(
    checkpoint: Checkpoint, *, values: bool, seen: bool = False, progress: Progress | None = None
) -> Iterator[Finding]:
    """What is wrong with the modules of such a folder; of dense layers, under their folders' names."""
    try:
        said = _read(checkpoint)
    except WeightscopeError as error:
        yield _as_finding(error)
        return
    for layer in said.dense if said else ():
        try:
            found = [*_of_dense(layer, values=values, seen=seen, progress=progress)]
        except WeightscopeError as error:
            found = [_as_finding(error)]
        yield from (replace(each, message=f"{layer.folder.name}: {each.message}") for each in found)


def _read(checkpoint: Checkpoint) -> Sentences | None:
    """What modules.json says; None without one.

    Raises:
        WeightscopeError: it cannot be read, or names a module that is not implemented.
    """
    place = checkpoint.folder.path
    if not checkpoint.whole or not isinstance(checkpoint.folder, LocalFolder) or not (place / "modules.json").is_file():
        return None
    from weightscope.analyses.forward.sentences import read_sentences

    return read_sentences(place)


def _as_finding(error: WeightscopeError) -> Finding:
    """An error, or a warning where the model may be whole and is only not read."""
    finding = Finding.of(error)
    return replace(finding, severity="warning") if isinstance(error, NotImplementedByWeightscope) else finding


def _of_dense(layer: Dense, *, values: bool, seen: bool, progress: Progress | None) -> Iterator[Finding]:
    """What is wrong with the file of a dense layer, and whether it has the sizes that its config.json says."""
    from weightscope.analyses.checking import run_rules
    from weightscope.analyses.forward.settings_file import read_object
    from weightscope.api.opening import open_model

    model = open_model(layer.folder, tolerant=True)
    yield from model.checkpoint.findings
    yield from run_rules(model.subject(), values=values, seen=seen, progress=progress)[0]
    settings = read_object(layer.folder / "config.json")
    out, inputs = settings.get("out_features"), settings.get("in_features")
    wanted = {"linear.weight": (out, inputs)} | ({"linear.bias": (out,)} if settings.get("bias", True) else {})
    for name, shape in wanted.items():
        entry = model.checkpoint.tensors.get(name)
        if entry is None or entry.shape != shape:
            yield _misfit(layer.folder, name, shape, None if entry is None else entry.shape)


def _misfit(folder: Path, name: str, wanted: tuple[object, ...], shape: tuple[int, ...] | None) -> Finding:
    said = f"the config.json there says {list(wanted)}"
    return Finding(
        code="missing-tensor" if shape is None else "shape-mismatch",
        severity="error",
        message=f"{name} is missing: {said}" if shape is None else f"{name} has shape {list(shape)}, but {said}",
        tensors=(name,),
        expected=None if shape is None else list(wanted),
        actual=None if shape is None else list(shape),
        hint=f"download {folder.name} again",
    )
