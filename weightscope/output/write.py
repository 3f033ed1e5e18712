"""Put a document where it was asked for: standard output or a file, in one of the formats."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from weightscope.errors import UsageError
from weightscope.output.document import Document

# Whatever was asked about, no file that could be somebody's model is written over.
MODEL_FILE = re.compile(
    r".*\.(safetensors|bin|pt|pth|ckpt|gguf|h5|index\.json|index\.[\w-]+\.json|model|tiktoken)"
    r"|(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|model_index"
    r"|preprocessor_config|adapter_config|hf_quant_config|merges)\.(json|txt)"
)


class Format(StrEnum):
    """How to write a result."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"


def emit(document: Document, format: Format, output: Path | None, protected: Iterable[Path] = ()) -> None:
    """Write the document to `output`, or to standard output.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (the model's own).
    """
    if output is None and format is Format.TABLE:
        from weightscope.output.terminal import write_table

        write_table(document, sys.stdout)
        sys.stdout.flush()
    else:
        put(render(document, format), output, protected)


def put(text: str, output: Path | None, protected: Iterable[Path] = ()) -> None:
    """Write text to `output`, or to standard output.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (the model's own).
    """
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_file(output, lambda file: file.write(text.encode()), protected)


def write_file(output: Path, write: Callable[[BinaryIO], object], protected: Iterable[Path] = ()) -> None:
    """Have `write` fill a file, whole or not at all.

    Raises:
        UsageError: it cannot be written, or is one of the `protected` (the model's own).
    """
    own = output.exists() and (MODEL_FILE.fullmatch(output.name) or any(_same(path, output) for path in protected))
    if own:
        raise UsageError("is a file of the model and is not overwritten", where=output, hint="choose another file")
    _replace(output, write)


def render(document: Document, format: Format) -> str:
    """The document as text."""
    if format is Format.TABLE:
        from weightscope.output.terminal import write_table

        buffer = io.StringIO()
        write_table(document, buffer)
        return buffer.getvalue()
    from weightscope.output import plain

    writers = {Format.JSON: plain.to_json, Format.MARKDOWN: plain.to_markdown, Format.CSV: plain.to_csv}
    return writers[format](document)


def _same(path: Path, output: Path) -> bool:
    return path.exists() and path.samefile(output)


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside the file and move over it, so that a failure leaves what was there."""
    import tempfile

    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                write(file)
            return
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", where=path, hint="choose another file") from None
