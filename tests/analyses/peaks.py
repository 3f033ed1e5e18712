"""The most bytes that torch's profiler sees at once, with the one thread that buffers of products do not grow with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile


@contextmanager
def one_thread() -> Iterator[None]:
    """The buffers of torch's products grow with the threads that it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_of(step: Callable[[], None], *, warm: bool = False) -> int:
    """The most bytes that were allocated at once in a step, beyond those before it; it runs once before, or did."""
    with one_thread():
        if not warm:
            step()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            step()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
