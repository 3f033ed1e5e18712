"""Prompt tuning, p-tuning and prefix tuning: learned vectors before the text, which change no weight."""

from __future__ import annotations

from weightscope.adapters.common.change import Module, Read
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

PARTS = dict.fromkeys(("prompt", "task_columns", "task_rows"), Role.PROMPT_EMBEDDING)


def read(module: Module, settings: Settings) -> Read:
    """No change of a weight."""
    del module, settings
    return Read()
