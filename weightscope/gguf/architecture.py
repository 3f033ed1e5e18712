"""What is known of one of llama.cpp's architectures: the model type, its config, names of its own, changed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from weightscope.brief import brief
from weightscope.gguf.keys import Keys
from weightscope.roles import Role

Change = Literal["paired rows", "plus one", "negative exp", "tiled heads"]
Form = Literal["column", "groups"]
Changes = Mapping[Role, tuple[Change, ...]]
Settings = dict[str, object]


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """How a GGUF file of one architecture is read.

    `model_type` is the one of transformers that declares it. `settings` makes what its config has beside the usual
    keys. `names` are stems that differ from `names.STEMS`, `changes` what the converter does to the values of a role,
    in order. `forms` are roles whose vector is stored as a column, or as a row for each group of a norm.
    """

    model_type: str
    settings: Callable[[Keys], Settings]
    names: Mapping[Role, str] = {}
    changes: Changes = {}
    forms: Mapping[Role, Form] = {}

    __repr__ = brief
