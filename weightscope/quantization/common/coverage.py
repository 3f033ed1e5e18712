"""Which matrices a method covers where its settings do not name each module."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

import msgspec
from msgspec.structs import replace

from weightscope.config import Config
from weightscope.quantization.common.excluded import Excluded
from weightscope.quantization.common.method import is_matrix
from weightscope.roles import TABLES, Role
from weightscope.storage.base import Scheme, Stored

# The matrices of every decoder's blocks. Of others (routers, gates of one row, recurrent mixers' small ones) writers
# decide by themselves, and configs do not say how.
CORE = frozenset(
    {
        Role.Q_PROJ,
        Role.K_PROJ,
        Role.V_PROJ,
        Role.O_PROJ,
        Role.QKV_PROJ,
        Role.Q_A_PROJ,
        Role.Q_B_PROJ,
        Role.KV_A_PROJ,
        Role.KV_B_PROJ,
        Role.GATE_PROJ,
        Role.UP_PROJ,
        Role.DOWN_PROJ,
        Role.GATE_UP_PROJ,
    }
)
EXPERT = re.compile(r"(?:^|\.)experts(?:\.|$)")
_LAYER = re.compile(r"(?:^|\.)(?:\d+|\{\})\.")
_OTHER_SENSES = re.compile(r"(?:^|[._])(?:vision|visual|vit|image|audio|speech|mtp)")


@runtime_checkable
class LeavesOpen(Protocol):
    """A method whose settings do not say of every module whether it is quantized."""

    def leaves_open(self, stored: Stored, module: str) -> Scheme | None:
        """How that module is stored if it is quantized; None where the settings decide."""
        ...


def role_of(stored: Stored) -> Role:
    """The role of a weight, the first of a fused one."""
    return stored.parts[0][0]


def in_layer(module: str) -> bool:
    """Whether a module belongs to one of many layers."""
    return _LAYER.search(module) is not None


def is_core(stored: Stored, module: str) -> bool:
    """Whether a weight is a matrix of a language model's blocks that every weight-only method covers."""
    known = is_matrix(stored) and role_of(stored) in CORE
    return known and in_layer(module) and not _OTHER_SENSES.search(module)


def is_open(stored: Stored, module: str) -> bool:
    """Whether a weight is a matrix within layers that some writers quantize and others do not."""
    return is_matrix(stored) and role_of(stored) not in TABLES and in_layer(module) and not is_core(stored, module)


def oriented(stored: Stored) -> tuple[int, int]:
    """The outputs and inputs of a matrix, however it is stored."""
    rows, columns = stored.upright
    return int(rows), int(columns)


@runtime_checkable
class OverLinears(Protocol):
    """A method that replaces Linear modules."""

    linears: Linears


def left_open(method: object, stored: Stored, module: str) -> Scheme | None:
    """How a module is stored if it is quantized, where the method's settings do not say whether it is."""
    return method.leaves_open(stored, module) if isinstance(method, LeavesOpen) else None


def turned(scheme: Scheme, stored: Stored) -> Scheme | None:
    """The scheme of a matrix that was told as (out, in), in its stored orientation; None if it knows no other."""
    if not stored.transposed:
        return scheme
    known = isinstance(scheme, msgspec.Struct) and "transposed" in scheme.__struct_fields__
    found: Scheme | None = replace(scheme, transposed=True) if known else None  # type: ignore[type-var]
    return found


def may_leave_experts(method: object) -> bool:
    """Whether all experts may be plain: transformers 5 holds them in stacks, where a method finds no Linear."""
    return isinstance(method, OverLinears)


class Linears(msgspec.Struct, frozen=True, kw_only=True):
    """Every Linear but those in `excluded`, and without a list of these (`listed`) the head.

    Whether a router or a small matrix of a recurrent mixer is a Linear depends on the version that wrote it, and
    whether a listed model's head is tied on the model: those are left to the files.
    """

    excluded: Excluded = Excluded()
    listed: bool = False

    @classmethod
    def of(cls, config: Config, key: str, entries: object) -> Linears:
        """All but a list of names and regular expressions.

        Raises:
            ConfigError: no list of names, or an expression that is none.
            UndeclaredError: an expression that could take too long.
        """
        return cls(excluded=Excluded.of(config, key, entries), listed=bool(entries))

    def covers(self, stored: Stored, module: str) -> bool:
        """Whether the settings say that it is quantized."""
        return role_of(stored) in CORE and self._may_be(stored, module)

    def leaves_open(self, stored: Stored, module: str) -> bool:
        """Whether it may be, and the settings do not say."""
        return role_of(stored) not in CORE and self._may_be(stored, module)

    def singles_out(self, template: str) -> bool:
        """Whether the excluded modules may be single experts."""
        return self.excluded.singles_out(template)

    def _may_be(self, stored: Stored, module: str) -> bool:
        if not is_matrix(stored) or role_of(stored) in TABLES:
            return False
        if role_of(stored) is Role.LM_HEAD and not self.listed:
            return False
        return not (self.excluded.holds(module) or self.excluded.holds_part(module))
