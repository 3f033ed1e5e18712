"""What `weightscope stats` found, in the words of its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.stats.figures import Figures
from weightscope.analyses.stats.spectrum import Spectrum
from weightscope.analyses.stats.zeros import Structure
from weightscope.brief import Displayed, clipped, plural
from weightscope.findings import Finding

if TYPE_CHECKING:
    from weightscope.display import Figure


class TensorStats(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one tensor.

    Attributes:
        name: its name.
        component: such as `attention`.
        roles: its role, or the roles that it fuses.
        kind: `weight`, `bias`, `buffer`, `scale`, or `copy` of another.
        dtype: as it is stored.
        quantization: how it is quantized; then the figures are of the weight that acts.
        shape: of the weight.
        stack: the name before the layer's number; None outside of layers.
        layer: the layer's number; None outside of layers.
        figures: range, mean, deviation, zeros, NaN.
        zeros: where zeros lie; None of a vector and of a sample.
        spectrum: singular values; None unless asked for, and of what is no matrix, too large or not finite.
    """

    name: str
    component: str
    roles: tuple[str, ...]
    kind: str
    dtype: str
    quantization: str | None
    shape: tuple[int, ...]
    stack: str | None
    layer: int | None
    figures: Figures
    zeros: Structure | None
    spectrum: Spectrum | None = None


class RoleStats(msgspec.Struct, frozen=True, kw_only=True):
    """All tensors of a stack of layers that hold the same roles.

    Attributes:
        component: such as `attention`.
        roles: the role, or the roles that each tensor fuses.
        kind: `weight`, `bias`, `buffer`, `scale`, or `copy` of another.
        stack: the name before the layers' numbers; None outside of layers.
        tensors: how many.
        figures: of all their values together.
        rms: the root mean square in each layer.
    """

    component: str
    roles: tuple[str, ...]
    kind: str
    stack: str | None
    tensors: int
    figures: Figures
    rms: tuple[float | None, ...]


class LayerStats(msgspec.Struct, frozen=True, kw_only=True):
    """All weights of a layer; `stack` is the name before its number."""

    stack: str
    layer: int
    tensors: int
    figures: Figures


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How a tensor's figures differ from a baseline's: the mean in units of the old deviation, the others as ratios."""

    name: str
    mean_shift: float | None
    std_ratio: float | None
    absmax_ratio: float | None
    zeros: int
    non_finite: int


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison with earlier figures: tensors with the same figures, those that drifted, names of one side alone."""

    reference: str
    same: int
    drifted: tuple[Drift, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


class Stats(Displayed, msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a model, key for key the JSON of `weightscope stats`.

    Attributes:
        schema_version: of the JSON.
        ok: whether all values were read and no finding is an error.
        complete: whether all values were read; False after an interruption.
        stored: whether quantized weights are shown as they are stored.
        sample: how many values of each tensor were read; None for all.
        reference: what was opened.
        bytes: how many were read.
        tensors: figures by tensor.
        roles: figures by role and stack of layers.
        layers: figures by layer.
        duplicates: groups of names whose tensors have the same values.
        too_large: matrices that are too large for a spectrum; None unless spectra were asked for.
        baseline: the comparison with earlier figures; None without a baseline.
        findings: what stands out.
    """

    schema_version: int = 1
    ok: bool
    complete: bool
    stored: bool
    sample: int | None
    reference: str
    bytes: int
    tensors: tuple[TensorStats, ...]
    roles: tuple[RoleStats, ...]
    layers: tuple[LayerStats, ...]
    duplicates: tuple[tuple[str, ...], ...]
    too_large: tuple[str, ...] | None = None
    baseline: Baseline | None = None
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        parts = [plural(len(self.tensors), "tensor"), plural(self.bytes, "byte"), "ok" if self.ok else "failed"]
        parts += [] if self.complete else ["incomplete"]
        return f"Stats({clipped(self.reference)}: {', '.join([*parts, plural(len(self.findings), 'finding')])})"

    def plot(self, *roles: str) -> Figure:
        """The RMS of each layer, or of the weights of some roles in each layer; a notebook shows it.

        Raises:
            UsageError: no layer has such a role, or there are no layers.
        """
        from weightscope.display import picture_of_layers

        return picture_of_layers(self, roles)
