"""What an optimizer keeps of each tensor that it trains.

Sources: `torch.optim` 2.13 (AdamW, SGD, Adafactor, Muon), bitsandbytes 0.48 (`optim/optimizer.py`: blocks of 256 with a
float32 each; tensors of fewer than 4,096 elements are kept in float32).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import msgspec

from weightscope.errors import UsageError

BLOCK, SMALLEST = 256, 4096


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """`count` tensors of one shape that are trained; `hidden` are matrices that are no table of tokens and no head."""

    shape: tuple[int, ...]
    count: int
    hidden: bool

    @property
    def elements(self) -> int:
        """Elements of one."""
        return prod(self.shape)


def _adamw(tensor: Trained, width: int) -> int:
    """Two moments."""
    return 2 * width * tensor.elements


def _adamw_8bit(tensor: Trained, width: int) -> int:
    """Two moments of a byte, and a float32 for each block of both."""
    del width
    if tensor.elements < SMALLEST:
        return 2 * 4 * tensor.elements
    return 2 * (tensor.elements + 4 * -(-tensor.elements // BLOCK))


def _adafactor(tensor: Trained, width: int) -> int:
    """One second moment, of a matrix its rows' and its columns' means alone."""
    if len(tensor.shape) < 2:
        return width * tensor.elements
    *rest, rows, columns = tensor.shape
    return width * prod(rest) * (rows + columns)


def _muon(tensor: Trained, width: int) -> int:
    """A momentum for hidden matrices; AdamW trains the rest."""
    return width * tensor.elements if tensor.hidden else _adamw(tensor, width)


def _sgd(tensor: Trained, width: int) -> int:
    """Nothing."""
    del tensor, width
    return 0


def _momentum(tensor: Trained, width: int) -> int:
    """One momentum."""
    return width * tensor.elements


# Name -> bytes that are kept of one tensor, where moments have elements of so many bytes.
OPTIMIZERS: Mapping[str, Callable[[Trained, int], int]] = {
    "adamw": _adamw,
    "adamw-8bit": _adamw_8bit,
    "adafactor": _adafactor,
    "muon": _muon,
    "sgd": _sgd,
    "sgd-momentum": _momentum,
}


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of an element of trained weights, of their master copy (0 for none), of gradients and of moments."""

    weights: int
    master: int
    gradients: int
    moments: int


PRECISIONS: Mapping[str, Precision] = {
    "mixed": Precision(weights=2, master=4, gradients=2, moments=4),
    "float32": Precision(weights=4, master=0, gradients=4, moments=4),
    "bfloat16": Precision(weights=2, master=0, gradients=2, moments=2),
}


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How one would train: what (a plan of --trainable), with which optimizer, in which precision, divided how.

    ZeRO stage 1 divides the optimizer's state and master weights among `devices`, 2 the gradients too, 3 (FSDP) also
    the weights.
    """

    plan: str
    optimizer: str = "adamw"
    precision: str = "mixed"
    zero: int = 0
    devices: int = 1

    def __post_init__(self) -> None:
        """Raise a UsageError for a name that is none, or a stage that there is not."""
        for option, name, known in (
            ("--optimizer", self.optimizer, OPTIMIZERS),
            ("--precision", self.precision, PRECISIONS),
        ):
            if name not in known:
                raise UsageError(f"{option} has no {name!r:.60}", hint=f"it has {', '.join(known)}")
        if self.zero not in (0, 1, 2, 3):
            raise UsageError(f"--zero is {self.zero}: stages are 0 to 3")
        if not 1 <= self.devices <= 1_000_000:
            raise UsageError(f"--gpus is {self.devices:,}: it is from 1 to 1,000,000")
