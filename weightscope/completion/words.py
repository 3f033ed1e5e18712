"""Words that options take; Typer offers those that go on from what is typed."""

from __future__ import annotations


def codes() -> list[str]:
    """For --ignore: codes that `check` finds."""
    from weightscope.findings import CODES

    return list(CODES)


def dtypes() -> list[str]:
    """For --dtype of stored tensors."""
    from weightscope.checkpoint.dtypes import DTYPE_BITS

    return list(DTYPE_BITS)


def kept_dtypes() -> list[str]:
    """For types that weights, or keys and values, can be kept in."""
    from weightscope.analyses.memory.dtypes import KEPT
    from weightscope.checkpoint.dtypes import TORCH_NAMES

    return [name for name, dtype in TORCH_NAMES.items() if dtype in KEPT]


def methods() -> list[str]:
    """For --quantize."""
    from weightscope.analyses.memory.recipes import USUAL

    return list(USUAL)


def gpus() -> list[str]:
    """For --gpu: devices that are known."""
    from weightscope.analyses.memory.devices import DEVICES

    return list(DEVICES)


def optimizers() -> list[str]:
    """For --optimizer."""
    from weightscope.analyses.memory.optimizers import OPTIMIZERS

    return list(OPTIMIZERS)


def precisions() -> list[str]:
    """For --precision."""
    from weightscope.analyses.memory.optimizers import PRECISIONS

    return list(PRECISIONS)
