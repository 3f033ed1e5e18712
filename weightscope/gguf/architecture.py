"""What is known of one of llama.cpp's architectures: the model type, its config, names of its own, changed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from weightscope.brief import brief
from weightscope.gguf.keys import Keys
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.families.declaration import Declaration

Change = Literal["paired rows", "plus one", "negative exp", "tiled heads"]
Form = Literal["column", "groups", "as it is", "frames", "bare"]
Changes = Mapping[Role, tuple[Change, ...]]
Settings = dict[str, object]


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """How a GGUF file of one architecture is read.

    `model_type` is the one of transformers that declares it. `settings` makes what its config has beside the usual
    keys. `names` are stems that differ from `names.STEMS`, `modules` the whole names of some modules by the ends of
    theirs, `stacks` the beginnings of names in a part of the model, by what transformers calls the part. `changes` are
    what the converter does to the values of a role, in order. `forms` are roles whose vector is stored as a column, or
    as a row for each group of a norm; whose matrix stays as it is where others are turned; whose kernel is divided by
    frames; whose name is bare of `.weight`. `lists` are the modules that the file numbers by the layers of a list, by
    where that is in the config. `lacks` are roles that no file has, and `cut` leaves out of a declaration
    the parts that none has. `spellings` are the family's names for how this file's tensors are laid out, the usual
    ones where there are none.
    """

    model_type: str
    settings: Callable[[Keys], Settings]
    names: Mapping[Role, str] = {}
    changes: Changes = {}
    forms: Mapping[Role, Form] = {}
    stacks: Mapping[str, str] = {}
    modules: Mapping[str, str] = {}
    lists: Mapping[str, tuple[str, str]] = {}
    lacks: frozenset[Role] = frozenset()
    cut: Callable[[Declaration, Keys], Declaration] | None = None
    spellings: Callable[[Keys], tuple[str, ...]] | None = None

    __repr__ = brief
