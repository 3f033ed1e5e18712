"""The tokenizer of a model: its tokenizer.json, or what the metadata of its GGUF file says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weightscope.analyses.forward.prompt import check_text, find_speller, without
from weightscope.analyses.forward.speller import Speller
from weightscope.errors import WeightscopeError

if TYPE_CHECKING:
    from weightscope.api.model import Model


def speller_of(model: Model, directory: Path, text: str | None) -> tuple[Speller | None, tuple[str, ...]]:
    """The tokenizer, or None and why; `text` is what a user wants to run on.

    Raises:
        WeightscopeError: there is a text, and no tokenizer for it.
    """
    if model.checkpoint.format != "gguf":
        return find_speller(directory, text=text)
    from weightscope.gguf.opening import described
    from weightscope.gguf.tokenizer import tokenizer_json

    metadata, path = described(model.checkpoint), model.checkpoint.files[0].path
    if text is not None:
        check_text(text)
    if metadata is None:
        return None, ()
    try:
        return Speller(path, tokenizer_json(metadata, path)), ()
    except (WeightscopeError, OSError) as error:
        if text is not None:
            raise
        return None, (without(error, "The tokenizer of the GGUF file"),)
