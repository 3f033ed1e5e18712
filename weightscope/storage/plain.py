"""Tensors stored as they are used: vectors, tables, kernels, and the buffers that lie beside them."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import msgspec

from weightscope.roles import Role
from weightscope.sizes import Shape
from weightscope.storage.base import Kind, Scope, Sizes, Stored, join

if TYPE_CHECKING:
    import torch


class Plain(msgspec.Struct, frozen=True):
    """One tensor whose stored shape is its role's shape, and with `bias` a vector as long as its first dimension.

    `name` is the module that owns it; `leaf` is the parameter's own name, empty where it is not in a module, and
    `bias_leaf` the bias's. An optional one may have a bias that is not: `bias_kept`. A `number` has one dimension of 1,
    or as MLX stores it none. A `computed` one is optional, and counts where it is not stored, too.
    """

    name: str
    role: Role
    bias: bool = False
    leaf: str = "weight"
    optional: bool = False
    bias_kept: bool = False
    number: bool = False
    bias_leaf: str = "bias"
    computed: bool = False

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    def path(self, prefix: str) -> str:
        """The weight's full name."""
        return join(join(prefix, self.name), self.leaf)

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The weight, then the bias."""
        shape, path = sizes[self.role], join(prefix, self.name)
        yield Stored(
            name=self.path(prefix),
            shape=shape,
            parts=((self.role, int(prod(shape))),),
            optional=self.optional or self.computed,
            also=((),) if self.number else (),
            computed=self.computed,
        )
        if self.bias:
            yield Stored(
                name=f"{path}.{self.bias_leaf}",
                shape=shape[:1],
                parts=((self.role, int(shape[0])),),
                kind=Kind.BIAS,
                optional=self.optional and not self.bias_kept,
            )

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The inverse of `tensors`: `role`, and `role.bias`; nothing for an optional tensor that is absent."""
        del sizes
        path = join(prefix, self.name)
        names = {str(self.role): self.path(prefix)}
        if self.bias:
            names[f"{self.role}.bias"] = f"{path}.{self.bias_leaf}"
        absent = self.optional or self.computed
        return {key: scope.tensor(name) for key, name in names.items() if not absent or scope.has(name)}

    def layout(self, sizes: Sizes) -> str:
        """As it is used."""
        del sizes
        return ""


class Buffer(msgspec.Struct, frozen=True):
    """A tensor that is registered beside the weights but not learned; optional unless the model cannot run without it.

    Old checkpoints carry rotary tables and causal masks that newer code computes.
    """

    name: str
    role: Role
    shape: Shape
    optional: bool = True

    @property
    def roles(self) -> tuple[Role, ...]:
        """The one role held here."""
        return (self.role,)

    @property
    def acts(self) -> bool:
        """Whether a pass reads it: of optional ones only what is added to logits, all others are computed."""
        return not self.optional or self.role is Role.LOGIT_BIAS

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The buffer; its shape does not come from the component's sizes."""
        del sizes
        yield Stored(
            name=join(prefix, self.name),
            shape=self.shape,
            parts=((self.role, int(prod(self.shape))),),
            kind=Kind.BUFFER,
            optional=self.optional,
        )

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The buffer under its role, if the checkpoint holds it."""
        del sizes
        name = join(prefix, self.name)
        return {str(self.role): scope.tensor(name)} if scope.has(name) else {}

    def layout(self, sizes: Sizes) -> str:
        """As it is used."""
        del sizes
        return ""
