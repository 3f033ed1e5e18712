"""Find the family that declares a model type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from weightscope.brief import brief
from weightscope.components.base import Component
from weightscope.config import Config
from weightscope.families.table import MODULES

Build = Callable[[Config, str], Component]
C = TypeVar("C", bound=Component)
F = TypeVar("F", bound=Callable[..., Component])

# What no decoder is without; a config that leaves one out at its top level does not describe a model.
DECODER_NEEDS = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """How to declare one model type; `module` is its file's name, `path` its place below `families/`.

    `roots` are the spellings under which it is published, the usual one first; what a root means is the build
    function's own affair. Those in `parts` leave out a part of the model, so another that has more of it is taken.
    `defaults` are the config class's, `attribute_map` its other names of keys
    (`{"hidden_size": "n_embd"}`), `needs` the keys that a config must state unless it is a part of another. `base` is
    what names of the base model begin with below a head, where no root says it.
    """

    model_type: str
    module: str
    path: str
    build: Build
    roots: tuple[str, ...]
    defaults: Mapping[str, Any]
    attribute_map: Mapping[str, str]
    needs: tuple[str, ...]
    parts: tuple[str, ...] = ()
    base: str = ""

    __repr__ = brief

    def component(self, config: Config, root: str | None = None) -> Component:
        """The tree for a config, under the usual root unless told otherwise.

        Raises:
            ConfigError: a needed key is absent, or a value is not what its class says.
        """
        config = config.with_defaults(self.defaults, self.attribute_map)
        for key in self.needs if not config.prefix else ():
            if key not in config:
                own = self.attribute_map.get(key, key)
                raise config.error(
                    f"lacks {own!r}, which {self.model_type} needs", "download it again from the model's repository"
                )
        with config.describing(self.model_type):
            return self.build(config, self.roots[0] if root is None else root)


_FAMILIES: dict[str, Family] = {}


def family(
    model_type: str,
    *,
    roots: tuple[str, ...],
    defaults: Mapping[str, Any],
    attribute_map: Mapping[str, str] = MappingProxyType({}),
    needs: tuple[str, ...] = DECODER_NEEDS,
    parts: tuple[str, ...] = (),
    base: str = "",
) -> Callable[[F], F]:
    """Register the decorated build function for a model type."""

    def register(build: F) -> F:
        module = build.__module__.rpartition(".")[2]
        _FAMILIES[model_type] = Family(
            model_type=model_type,
            module=module,
            path=MODULES[model_type].replace(".", "/"),
            build=build,
            roots=roots,
            defaults=defaults,
            attribute_map=dict(attribute_map),
            needs=needs,
            parts=parts,
            base=base,
        )
        return build

    return register


def all_families() -> dict[str, Family]:
    """Every declared model type."""
    return {model_type: family for model_type in sorted(MODULES) if (family := find_family(model_type))}


def find_family(model_type: str) -> Family | None:
    """The family that declares a model type; only its own file is imported."""
    if model_type not in MODULES:
        return None
    import_module(f"weightscope.families.{MODULES[model_type]}")
    return _FAMILIES[model_type]


def component_of(kind: type[C], config: Config, root: str, default_type: str) -> C:
    """The declaration of a nested config such as `text_config`, by its own model type.

    Raises:
        UndeclaredError: no family declares that type, or it is no component of this kind.
    """
    model_type = config.model_type or default_type
    found = find_family(model_type)
    if found is None:
        raise config.undeclared(f"{config.prefix}model_type {model_type!r} is not declared")
    component = found.component(config, root)
    if not isinstance(component, kind):
        raise config.undeclared(f"{config.prefix}model_type {model_type!r} is not declared for this part")
    return component
