"""What is known of one of llama.cpp's architectures: the model type, its config, names of its own, changed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from weightscope.brief import brief
from weightscope.gguf.keys import Keys
from weightscope.roles import Role

Change = Literal["paired rows", "plus one", "negative exp"]
Settings = dict[str, object]


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """How a GGUF file of one architecture is read.

    `model_type` is the one of transformers that declares it. `settings` makes what its config has beside the usual
    keys. `names` are stems that differ from `names.STEMS`, `changes` what the converter does to the values of a role.
    """

    model_type: str
    settings: Callable[[Keys], Settings]
    names: Mapping[Role, str] = {}
    changes: Mapping[Role, Change] = {}

    __repr__ = brief
