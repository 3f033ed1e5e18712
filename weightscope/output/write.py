"""Put a document where it was asked for: standard output or a file, in one of the formats."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from weightscope.errors import UsageError
from weightscope.interrupt import unfinished
from weightscope.output.document import Document

# Whatever was asked about, no file that could be somebody's model is written over.
MODEL_FILE = (
    r".*\.(safetensors|bin|pt|pth|ckpt|gguf|h5|index\.json|index\.[\w-]+\.json|model|tiktoken)"
    r"|(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|model_index"
    r"|preprocessor_config|adapter_config|hf_quant_config|merges)\.(json|txt)"
)

CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


class Format(StrEnum):
    """How to write a result."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    CSV = "csv"


def emit(
    document: Document, format: Format, output: Path | None, protected: Iterable[Path] = (), *, paged: bool = False
) -> None:
    """Write the document to `output`, or to standard output; a `paged` table through a pager where it is long.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (the model's own).
    """
    if output is None and format is Format.TABLE:
        from weightscope.output.terminal import table_text

        text = table_text(document, sys.stdout)
        if paged:
            from weightscope.output.pager import show

            show(text)
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    elif format is Format.JSON:
        from weightscope.output.plain import json_parts

        put_parts(json_parts(document), output, protected)
    else:
        put(render(document, format), output, protected)


def put(text: str, output: Path | None, protected: Iterable[Path] = ()) -> None:
    """Write text to `output`, or to standard output.

    Raises:
        UsageError: the file cannot be written, or is one of the `protected` (the model's own).
    """
    put_parts([text], output, protected)


def put_parts(parts: Iterable[str], output: Path | None, protected: Iterable[Path] = ()) -> None:
    """The same of text that comes in parts, each of which is written before the next is made."""
    if output is None:
        sys.stdout.writelines(parts)
        sys.stdout.flush()
        return
    write_file(
        output, lambda file: file.writelines(part.encode(errors="backslashreplace") for part in parts), protected
    )


def write_file(output: Path, write: Callable[[BinaryIO], object], protected: Iterable[Path] = ()) -> None:
    """Have `write` fill a file, whole or not at all.

    Raises:
        UsageError: it cannot be written, or is one of the `protected` (the model's own).
    """
    own = output.exists() and (re.fullmatch(MODEL_FILE, output.name) or any(_same(path, output) for path in protected))
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
    if format is Format.MARKDOWN:
        from weightscope.output.markdown import to_markdown

        return to_markdown(document)
    from weightscope.output.plain import to_csv, to_json

    return to_json(document) if format is Format.JSON else to_csv(document)


def _same(path: Path, output: Path) -> bool:
    return path.exists() and path.samefile(output)


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside the file and move over it, so that a failure leaves what was there."""
    try:
        old = _state(path)
        if old and not stat.S_ISREG(old.st_mode):
            with path.open("wb") as file:
                write(file)
            return
        temporary = path.with_name(f".weightscope-{os.urandom(6).hex()}")
        with unfinished(temporary):
            try:
                # What is to be replaced may be for its owner's eyes only.
                descriptor = os.open(temporary, CREATE, 0o600 if old else 0o666)
                with os.fdopen(descriptor, "wb") as file:
                    write(file)
                if old:
                    _take_over(temporary, old)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageError(f"cannot be written ({error.strerror})", where=path, hint="choose another file") from None


def _state(path: Path) -> os.stat_result | None:
    """What is there. A link is replaced, not followed, unless it leads to a device or one of our own streams."""
    try:
        linked = path.lstat()
        if not stat.S_ISLNK(linked.st_mode):
            return linked
        followed = path.stat()
        # /dev/stdout, where it was redirected to a plain file.
        stream = path.absolute().parent == Path("/dev") or str(path.readlink()).startswith("/proc/")
    except FileNotFoundError:
        return None
    return followed if not stat.S_ISREG(followed.st_mode) else linked if stream else None


def _take_over(path: Path, old: os.stat_result) -> None:
    """Give the file the owner and the permissions of the one that it replaces, or fewer."""
    mode = stat.S_IMODE(old.st_mode) & 0o777
    new = path.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(path, old.st_uid, old.st_gid)
        except OSError:
            # Permissions for another group than this file's are nobody's here.
            mode &= 0o707
    path.chmod(mode)
