"""compressed-tensors (vLLM's llm-compressor): groups of modules, each with arguments and a format of its own.

Source: https://github.com/vllm-project/compressed-tensors. A module has the first group that targets it, by its
name, by a pattern or by its class, unless `ignore` does so too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.compressed_formats import NAME, scheme_of
from weightscope.quantization.common.compressed_told import recognize as recognize  # noqa: PLC0414 - the registry asks
from weightscope.quantization.common.method import is_matrix
from weightscope.quantization.common.targets import Targets
from weightscope.roles import TABLES, Role
from weightscope.storage.base import Scheme, Stored

# Whether a router is a Linear depends on the model's code, and that changed from version to version.
PERHAPS_LINEAR = {Role.ROUTER}


def method(config: Config, settings: dict[str, Any]) -> CompressedTensors:
    """From a `quantization_config` with `quant_method` compressed-tensors.

    Raises:
        ConfigError: settings that the library does not write.
        UndeclaredError: sparse weights, rotated ones, ones that are not compressed, or a pattern that could take too
            long.
    """
    _refuse(config, settings)
    groups = settings.get("config_groups") or {}
    if not isinstance(groups, dict):
        raise config.error(f"config_groups is {groups!r:.60}, not an object")
    found: list[Scheme | None] = []
    targets: list[object] = []
    missing = ""
    for name, group in groups.items():
        if not isinstance(group, dict):
            raise UndeclaredError(f"{NAME} with the preset {name!r:.40} is not implemented", where=config.source)
        targets.append(group.get("targets"))
        try:
            found.append(scheme_of(config, group, settings.get("format")))
        except UndeclaredError as error:
            missing = missing or error.what
            found.append(None)
    return CompressedTensors(
        schemes=tuple(found),
        targets=Targets.of(config, "targets", targets),
        ignored=Targets.of(config, "ignore", [settings.get("ignore")]),
        missing=missing,
    )


def _refuse(config: Config, settings: dict[str, Any]) -> None:
    sparsity = settings.get("sparsity_config")
    sparse = sparsity.get("format") if isinstance(sparsity, dict) else None
    for found in (sparse, settings.get("format")):
        if isinstance(found, str) and (found.startswith("sparse") or found == "marlin-24"):
            raise UndeclaredError(f"{NAME} with sparse weights ({found:.40}) is not implemented", where=config.source)
    transforms = settings.get("transform_config")
    if isinstance(transforms, dict) and transforms.get("config_groups"):
        raise UndeclaredError(f"{NAME} with rotated weights (transform_config) is not implemented", where=config.source)
    status = settings.get("quantization_status")
    if settings.get("format") in ("dense", "fakequant") and status not in (None, "compressed"):
        raise UndeclaredError(
            f"{NAME} whose weights are not compressed (quantization_status {status!r:.40}) is not implemented",
            where=config.source,
        )


class CompressedTensors(msgspec.Struct, frozen=True, kw_only=True):
    """Linear layers and embeddings in the groups that target them; `schemes` are the groups', None for plain."""

    schemes: tuple[Scheme | None, ...]
    targets: Targets
    ignored: Targets
    name: str = NAME
    missing: str = ""
    silent: bool = False

    def scheme(self, stored: Stored, module: str) -> Scheme | None:
        """That of the group which targets the module, by its class only where that is known."""
        role = stored.parts[0][0]
        return self._targeted(stored, module, "" if role in PERHAPS_LINEAR else _class_of(role))

    def singles_out(self, template: str) -> bool:
        """Whether targets or ignored modules may be single experts."""
        return self.targets.singles_out(template) or self.ignored.singles_out(template)

    def leaves_open(self, stored: Stored, module: str) -> Scheme | None:
        """How the module is stored if it is a Linear."""
        role = stored.parts[0][0]
        known = role not in PERHAPS_LINEAR or self.scheme(stored, module) is not None
        return None if known else self._targeted(stored, module, _class_of(role))

    def _targeted(self, stored: Stored, module: str, class_name: str) -> Scheme | None:
        # GPT-2's transposed matrices are no Linear.
        if not is_matrix(stored) or stored.transposed:
            return None
        group = self.targets.find(module, class_name)
        if group is None or self.ignored.find(module, class_name) is not None:
            return None
        return self.schemes[group]


def _class_of(role: Role) -> str:
    return "Embedding" if role in TABLES else "Linear"
