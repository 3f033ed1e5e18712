"""Every name that a file of torch.save may use, and the machine that reads its pickles."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.checkpoint.pickle_harmless import HARMLESS
from weightscope.checkpoint.pickle_machine import Global, Machine
from weightscope.checkpoint.pickles import PLAIN
from weightscope.checkpoint.pytorch_objects import OBJECTS, UNSUPPORTED
from weightscope.checkpoint.pytorch_older import OLDER, set_state
from weightscope.errors import Where

# Later tables win: `torch.Tensor` is a value in new files and a constructor in old ones.
SUPPORTED: dict[str, Global] = PLAIN | HARMLESS | OBJECTS | OLDER


def torch_machine(data: bytes, where: Where, persistent: Callable[[Machine, object], object]) -> Machine:
    """A machine for pickles of torch.save; `persistent` answers their references to storages."""
    return Machine(
        data,
        where=where,
        supported=SUPPORTED,
        unsupported=UNSUPPORTED,
        persistent=persistent,
        set_state=set_state,
    )
