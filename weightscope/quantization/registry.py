"""Find the method that a config names; its file is imported, and no other."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from weightscope import quantization
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.method import Method, Unimplemented

# Files beside config.json that say that the weights are quantized where it does not, and by which method.
BESIDE = {
    "hf_quant_config.json": "modelopt",
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
    "quanto_qmap.json": "quanto",
}
# What settings without a `quant_method` have in common, and whose they are; the first that fits.
UNNAMED = (
    (("bits", "group_size"), "mlx"),
    (("quant_algo",), "modelopt"),
    (("load_in_4bit",), "bitsandbytes"),
    (("load_in_8bit",), "bitsandbytes"),
    (("_load_in_4bit",), "bitsandbytes"),
)


def method_of(config: Config, beside: Callable[[str], bool] | None = None) -> Method | None:
    """The method that a config names, with its settings; None for weights stored as they are.

    `beside` tells whether a file lies beside config.json. What is not implemented is named by the method returned.

    Raises:
        ConfigError: the settings cannot be those of the method.
    """
    settings = settings_of(config)
    if settings is None:
        return next((_named_beside(file) for file in BESIDE if beside and beside(file)), None)
    name = settings.get("quant_method") or next(
        (name for keys, name in UNNAMED if all(key in settings for key in keys)), None
    )
    if name is None:
        return Unimplemented(name="unknown", missing="a quantization_config without quant_method is not understood")
    module = str(name).replace("-", "_")
    if module not in methods():
        return Unimplemented(name=f"{name!s:.60}", missing=f"quantization {name!r:.60} is not implemented")
    try:
        found: Method = import_module(f"{quantization.__name__}.{module}").method(config, settings)
    except UndeclaredError as error:
        return Unimplemented(name=str(name), missing=error.what)
    return found


def settings_of(config: Config) -> dict[str, Any] | None:
    """What a config says of quantization, at its top level or, in a vision-language model, within `text_config`.

    Raises:
        ConfigError: it is no object.
    """
    named = _object(config, "quantization_config")
    if named is not None and named.get("quant_method"):
        return named
    # MLX's own key; its converter writes the same under both.
    return _object(config, "quantization") or named


def methods() -> frozenset[str]:
    """The methods that have a file."""
    import pkgutil

    found = {module.name for module in pkgutil.iter_modules(quantization.__path__) if not module.ispkg}
    return frozenset(found - {"registry"})


def _named_beside(file: str) -> Method:
    return Unimplemented(name=BESIDE[file], missing=f"quantization {BESIDE[file]!r} ({file}) is not implemented")


def _object(config: Config, key: str) -> dict[str, Any] | None:
    value = config.data.get(key)
    if value is None and isinstance(text := config.data.get("text_config"), dict):
        value = text.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value or None
