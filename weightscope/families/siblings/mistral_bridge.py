"""The bridge of Mistral Small 3.1 and LightOnOCR. Source: `Mistral3MultiModalProjector` of transformers."""

from __future__ import annotations

from weightscope.components.projection import Projection
from weightscope.components.vision.mistral_merger import MergingProjector
from weightscope.components.vision.projector import Projector
from weightscope.families.common import rms_norms
from weightscope.roles import Role
from weightscope.sizes import Size


def merging(
    name: str, inputs: Size, outputs: Size, *, merge: Size, eps: float, activation: str, bias: bool
) -> MergingProjector:
    """A norm, squares of `merge` × `merge` patches merged to one of the same width, and two matrices."""
    return MergingProjector(
        name=name,
        norm=rms_norms(eps)("norm", Role.PROJECTOR_NORM, inputs),
        merging=Projection(
            name="patch_merger.merging_layer", inputs=inputs * merge * merge, outputs=inputs, bias=False
        ),
        projector=Projector(
            parts=(
                Projection(name="linear_1", inputs=inputs, outputs=outputs, bias=bias),
                Projection(name="linear_2", inputs=outputs, outputs=outputs, bias=bias),
            ),
            activation=activation,
        ),
        square=int(merge * merge),
    )
