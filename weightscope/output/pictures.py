"""Pictures of a model, of its figures and of a pass: which numbers they show, in which colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from weightscope.analyses.accounting import ComponentShare
from weightscope.analyses.forward.stages import Stage
from weightscope.analyses.stats.result import RoleStats, Stats, TensorStats
from weightscope.errors import UsageError
from weightscope.output import words
from weightscope.output.facts import title_of
from weightscope.output.figure import Figure
from weightscope.output.figures.heatmap import heatmap
from weightscope.output.figures.profile import Line, profile
from weightscope.output.figures.stages import Bar, stage_bars
from weightscope.output.figures.treemap import Area, treemap
from weightscope.output.stage_names import split

if TYPE_CHECKING:
    from weightscope.api.model import Model
    from weightscope.api.tensors import Tensor

# The colour of a stage by the last word of its name; all others are grey.
STAGE_KINDS = {
    "embedding": "ws-embedding", "embeddings": "ws-embedding", "attention": "ws-attention",
    "cross-attention": "ws-attention", "mlp": "ws-mlp", "moe": "ws-moe", "norm": "ws-norm", "logits": "ws-head",
    "scores": "ws-head", "projector": "ws-projector",
}  # fmt: skip
STAGE_WORDS = {
    "ws-embedding": "embedding", "ws-attention": "attention", "ws-mlp": "mlp", "ws-moe": "moe", "ws-norm": "norm",
    "ws-head": "output", "ws-projector": "projector", "ws-other": "other",
}  # fmt: skip


def picture_of_parameters(model: Model) -> Figure:
    """A treemap of the parameters by component and role.

    Raises:
        UsageError: nothing tells how many there are.
    """
    if not any(share.parameters for share in model.components):
        raise UsageError("the number of parameters is not known", where=model.reference)
    title = f"Parameters of {title_of(model.reference)}"
    told = ", ".join(f"{share.component} {_share(share.share)}" for share in model.components)
    return Figure(title=title, drawn=treemap(areas_of(model.components), title=title, description=told))


def areas_of(components: Sequence[ComponentShare]) -> tuple[Area, ...]:
    """An area for each component, with one for each of its roles in it."""
    return tuple(
        Area(
            label=component.component,
            size=component.parameters or 0,
            amount=_share(component.share),
            kind=f"ws-{component.component}",
            parts=tuple(
                Area(
                    label=role.role,
                    size=role.parameters or 0,
                    amount=words.amount(role.parameters or 0),
                    kind=f"ws-{component.component}",
                )
                for role in component.roles
            ),
        )
        for component in components
    )


def _share(share: float | None) -> str:
    return "" if share is None else words.percent(share)


def picture_of_stages(stages: Sequence[Stage]) -> Figure:
    """The RMS of each stage of a pass.

    Raises:
        UsageError: the pass recorded none.
    """
    if not stages:
        raise UsageError("the pass recorded no stages", hint="leave measure=False out")
    bars = [_bar(stage) for stage in stages]
    kinds = [(kind, word) for kind, word in STAGE_WORDS.items() if any(bar.kind == kind for bar in bars)]
    title = "RMS after each stage"
    first = next((stage.stage for stage in stages if not stage.finite), None)
    told = f"{len(bars):,} stages, " + ("all finite." if first is None else f"NaN or infinity from {first} on.")
    return Figure(title=title, drawn=stage_bars(bars, kinds, title=title, description=told))


def _bar(stage: Stage) -> Bar:
    word, layer = split(stage.stage)
    kind = STAGE_KINDS.get(word.rpartition(" ")[2], "ws-other")
    return Bar(name=stage.stage, short="" if layer is None else str(layer), rms=stage.rms, kind=kind)


def picture_of_values(tensor: Tensor) -> Figure:
    """The magnitudes of a tensor's values, all but the first dimension as one; of a quantized weight as it acts.

    Raises:
        WeightscopeError: the values are not here, or cannot be read.
    """
    values = tensor.numpy(dequantize=tensor.kind == "weight")
    rows = len(values) if values.ndim > 1 else 1
    matrix = values.reshape(rows, values.size // rows if rows else 0)
    told = f"{' + '.join(tensor.roles)}, {tensor.dtype}."
    return Figure(title=tensor.name, drawn=heatmap(matrix, title=tensor.name, description=told))


def picture_of_layers(stats: Stats, roles: Sequence[str]) -> Figure:
    """The RMS of each layer, or of the weights of some roles in each; layers that a finding names are marked.

    Raises:
        UsageError: no layer has such a role, or there are no layers.
    """
    found = dict(_of_roles(stats, roles) if roles else _of_layers(stats))
    if not found:
        raise UsageError("the model has no layers", where=stats.reference)
    names = sorted({layer for layers in found.values() for layer in layers})
    odd = _odd(stats)
    lines = [
        Line(
            label=label,
            values=tuple(layers.get(layer) for layer in names),
            absent=tuple(place for place, layer in enumerate(names) if layer not in layers),
            marked=tuple(place for place, layer in enumerate(names) if (label, layer) in odd),
        )
        for label, layers in found.items()
    ]
    title = f"RMS of {', '.join(roles) if roles else 'all weights'} by layer"
    told = "; ".join(f"{line.label}: {words.plural(len(line.marked), 'layer')} marked" for line in lines)
    return Figure(title=title, drawn=profile(lines, list(map(str, names)), title=title, description=told))


def _of_layers(stats: Stats) -> Iterator[tuple[str, dict[int, float | None]]]:
    for stack in dict.fromkeys(row.stack for row in stats.layers):
        yield stack, {row.layer: row.figures.rms for row in stats.layers if row.stack == stack}


def _of_roles(stats: Stats, roles: Sequence[str]) -> Iterator[tuple[str, dict[int, float | None]]]:
    known = [row for row in stats.roles if row.kind == "weight" and row.stack is not None]
    for role in roles:
        rows = [row for row in known if role in row.roles]
        if not rows:
            near = get_close_matches(role, sorted({name for row in known for name in row.roles}), n=1)
            raise UsageError(f"no layer has the role {role!r}", hint=f"did you mean {near[0]}?" if near else "")
        for row in rows:
            yield _label(stats, row), dict(zip(_layers(stats, row), row.rms, strict=True))


def _label(stats: Stats, of: RoleStats | TensorStats) -> str:
    """The component and the role, and the stack of layers where there are several."""
    several = len({row.stack for row in stats.layers}) > 1
    return f"{f'{of.stack} ' if several else ''}{of.component} {' + '.join(of.roles)}"


def _layers(stats: Stats, row: RoleStats) -> list[int]:
    """The numbers of the layers that a row is of."""
    key = (row.component, row.roles, row.kind, row.stack)
    alike = (one for one in stats.tensors if (one.component, one.roles, one.kind, one.stack) == key)
    return sorted({one.layer for one in alike if one.layer is not None})


def _odd(stats: Stats) -> set[tuple[str, int]]:
    """The lines and layers in which a finding names a tensor."""
    names = {name for finding in stats.findings for name in finding.names}
    found = set()
    for one in stats.tensors:
        if one.name in names and one.layer is not None:
            found |= {(_label(stats, one), one.layer), (str(one.stack), one.layer)}
    return found
