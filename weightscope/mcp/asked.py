"""What a client may ask of each tool: names, types and bounds. The schemas that clients see are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from weightscope.analyses.listing import Sort
from weightscope.errors import UsageError
from weightscope.findings import Severity

# Items of any list in an answer, and so of a page.
MOST_ITEMS = 500
PAGE = 100

Text = Annotated[str, Meta(max_length=4_096)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=64)]
Count = Annotated[int, Meta(ge=1, le=1 << 40)]
ModelText = Annotated[
    str,
    Meta(
        max_length=4_096,
        description="A checkpoint directory, a training run's folder, an adapter, a weight file, an *.index.json or a "
        "config.json in an allowed folder. With --allow-hub also org/name[@REVISION] or hf://org/name/FILE.",
    ),
]
BaseText = Annotated[Text | None, Meta(description="The base model of an adapter, named as `model` is.")]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of a tool. A field without a description has that of the command's option."""


class Inspect(Asked, frozen=True, kw_only=True):
    """Reads only the headers of the files. Faults that headers show are under `findings`."""

    model: ModelText
    base: BaseText = None


class Check(Asked, frozen=True, kw_only=True):
    """`ok` is false if a finding is at or above `fail_on`. Settings of a project are not read."""

    model: ModelText
    base: BaseText = None
    values: bool = False
    fail_on: Severity = "error"
    ignore: Annotated[
        Texts, Meta(description="Finding codes to leave out; CODE:PATTERN does so only for tensors that match.")
    ] = ()
    lock: Annotated[
        Text | None, Meta(description="Also compare the model with this lock file, in an allowed folder.")
    ] = None


class Explain(Asked, frozen=True, kw_only=True):
    """If several tensors match, the first is explained."""

    model: ModelText
    tensor: Text
    base: BaseText = None


class Tensors(Asked, frozen=True, kw_only=True):
    """Answers with a page: `total` says how many tensors match, `next_offset` where the next page begins, if any."""

    model: ModelText
    pattern: Annotated[
        Text | None,
        Meta(description="Only names that match: * and ? as in file names, {} or {0-3} for numbers."),
    ] = None
    role: Texts = ()
    layer: Texts = ()
    dtype: Texts = ()
    sort: Sort | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_ITEMS, description="Tensors on a page.")] = PAGE
    offset: Annotated[int, Meta(ge=0, le=1 << 40, description="Matching tensors to skip.")] = 0
    base: BaseText = None


class Diff(Asked, frozen=True, kw_only=True):
    """`ok` is false if a difference is at or above `fail_on`."""

    a: ModelText
    b: ModelText
    values: bool = False
    fail_on: Severity = "error"


class Memory(Asked, frozen=True, kw_only=True):
    """A config.json alone is enough."""

    model: ModelText
    base: BaseText = None
    context: Count | None = None
    batch: Count = 1
    dtype: Text | None = None
    kv_dtype: Text | None = None
    quantize: Text | None = None
    trainable: Text | None = None
    gpu: Text | None = None
    gpus: Count | None = None


# Each tool has the name of its command.
TOOLS: dict[str, type[Asked]] = {
    "inspect": Inspect,
    "check": Check,
    "explain": Explain,
    "tensors": Tensors,
    "diff": Diff,
    "memory": Memory,
}


def asked_of(tool: str, arguments: Mapping[str, Any]) -> Asked:
    """The arguments of a tool, of their types and within their bounds.

    Raises:
        UsageError: there is no such tool, or they do not fit it.
    """
    if tool not in TOOLS:
        raise UsageError(f"there is no tool {tool!r}", hint=f"tools are {', '.join(TOOLS)}")
    try:
        return msgspec.convert(arguments, TOOLS[tool])
    except msgspec.ValidationError as error:
        raise UsageError(f"the arguments do not fit the tool: {error}") from None
