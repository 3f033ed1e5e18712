"""One parameter under several names: files have it under one of them or under all."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.roles import Role
from weightscope.storage.base import Kind, Scope, Sizes, Stored, join

if TYPE_CHECKING:
    import torch


class SharedBias(msgspec.Struct, frozen=True):
    """A bias as long as its role's first dimension, named `name`; `copies` are other names, which need not be there."""

    name: str
    role: Role
    copies: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The bias, then its copies, which are no weights of their own."""
        length = sizes[self.role][0]
        for name in (self.name, *self.copies):
            copy = name != self.name
            yield Stored(
                name=join(prefix, name),
                shape=(length,),
                parts=((self.role, int(length)),),
                kind=Kind.COPY if copy else Kind.BIAS,
                optional=copy,
            )

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The bias as `role.bias`."""
        del sizes
        return {f"{self.role}.bias": scope.tensor(join(prefix, self.name))}

    def layout(self, sizes: Sizes) -> str:
        """As it is used."""
        del sizes
        return ""


class Copy(msgspec.Struct, frozen=True):
    """A tensor that is another's values again under its own name, if a file has it: it is not read."""

    name: str
    role: Role

    @property
    def roles(self) -> tuple[Role, ...]:
        """None: those are what it copies."""
        return ()

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The copy, as large as what it copies."""
        shape = sizes[self.role]
        yield Stored(
            name=join(prefix, self.name),
            shape=shape,
            parts=((self.role, int(prod(shape))),),
            kind=Kind.COPY,
            optional=True,
        )

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """Nothing."""
        del prefix, sizes, scope
        return {}

    def layout(self, sizes: Sizes) -> str:
        """As it is used."""
        del sizes
        return ""
