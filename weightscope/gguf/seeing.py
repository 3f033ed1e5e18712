"""The eye of a model whose language model is in another file."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.vision.language import VisionLanguage
from weightscope.components.vision.lone_eye import LoneEye
from weightscope.components.walk import walk
from weightscope.families.declaration import Declaration


def only_eye(declaration: Declaration) -> Declaration:
    """The declaration without the language model."""
    assert isinstance(declaration.tree, VisionLanguage)
    tree = LoneEye(eye=declaration.tree.eye)
    return replace(declaration, tree=tree, slots=tuple(walk(tree)))
