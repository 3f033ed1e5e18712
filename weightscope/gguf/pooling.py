"""Encoders as llama.cpp has them: without a pooler, since it pools by itself."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.encoder import EncoderModel
from weightscope.components.walk import walk
from weightscope.errors import NotImplementedByWeightscope, UndeclaredError
from weightscope.families.common.encoders import first_classes
from weightscope.families.declaration import Declaration
from weightscope.gguf.encoders import BEFORE, SCORES
from weightscope.gguf.keys import Keys


def without_pooler(declaration: Declaration, keys: Keys) -> Declaration:
    """The encoder as llama.cpp has it: it pools by itself, so no file has the pooler; some have RoBERTa's classes.

    Raises:
        UndeclaredError: a head of another kind.
    """
    tree = declaration.tree
    assert isinstance(tree, EncoderModel)
    heads = {name for name in (BEFORE, SCORES) if name in keys.names}
    if heads and (declaration.config.model_type != "bert" or len(heads) < 2):
        raise UndeclaredError("the head of an encoder without its pooler is not declared", where=keys.metadata.where)
    return _bare(declaration, tree, scored=bool(heads))


def as_converted(declaration: Declaration) -> Declaration:
    """The encoder as the converter writes it: without its pooler, and without what fills in words.

    Raises:
        NotImplementedByWeightscope: a head of another kind.
    """
    tree = declaration.tree
    assert isinstance(tree, EncoderModel)
    task = declaration.config.task
    if task not in ("", "MaskedLM", "PreTraining"):
        raise NotImplementedByWeightscope(
            f"how llama.cpp would quantize {declaration.config.architecture} is not known"
        )
    return _bare(declaration, tree, scored=False)


def _bare(declaration: Declaration, tree: EncoderModel, *, scored: bool) -> Declaration:
    heads = (first_classes(declaration.config, tree.words.width),) if scored else ()
    bare = replace(tree, encoder=replace(tree.encoder, pooler=None), heads=heads)
    return replace(declaration, tree=bare, slots=tuple(walk(bare)))
