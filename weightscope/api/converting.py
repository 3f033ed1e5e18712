"""A declared model as llama.cpp's converter would lay it out in a GGUF file."""

from __future__ import annotations

from weightscope.analyses.memory.as_gguf import AsFile
from weightscope.families.declaration import Declaration


def as_file(declaration: Declaration) -> AsFile:
    """Its language model as a file, and what sees or hears beside it.

    Raises:
        NotImplementedByWeightscope: it is not known how the converter would store a model of this type.
    """
    from weightscope.gguf.converting import apart, converted, written_as

    language, senses = apart(declaration)
    return AsFile(declaration=converted(language), written_as=written_as(language), beside=senses)
