"""Calls that take their time, while keys are heard; whoever leaves does not wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from weightscope.checkpoint.background import Background

T = TypeVar("T")
# At a time: a page, a level of the tree, a search, the check and a reading may be wanted together.
_threads = Background(5)


async def called(call: Callable[[], T]) -> T:
    """What the call gives in a thread of its own."""
    return await asyncio.wrap_future(_threads.submit(call))
