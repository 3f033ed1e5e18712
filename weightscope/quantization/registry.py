"""Find the method that a config names; its file is imported, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.folder import Folder
from weightscope.config import Config, read_config
from weightscope.errors import UndeclaredError

if TYPE_CHECKING:
    from weightscope.quantization.common.method import Method, Told

# Files beside config.json that have settings of quantization, and whose they are. The second item is a key without
# which a file of that name is of another tool (ONNX exporters write a quantize_config.json as well).
BESIDE = {
    "hf_quant_config.json": ("modelopt", "quantization"),
    "quantize_config.json": ("gptq", "bits"),
    "quant_config.json": ("awq", "w_bit"),
    "quanto_qmap.json": ("quanto", ""),
}
# What settings without a `quant_method` have in common, and whose they are; the first that fits.
UNNAMED = (
    (("quant_algo",), "modelopt"),
    (("moe_quant_algo",), "modelopt"),
    (("producer", "quantization"), "modelopt"),
    (("bits", "group_size"), "mlx"),
    (("load_in_4bit",), "bitsandbytes"),
    (("load_in_8bit",), "bitsandbytes"),
    (("_load_in_4bit",), "bitsandbytes"),
    (("config_groups",), "compressed-tensors"),
)
# Other names of a method: what serves it, or what wrote it.
ALIASES = {
    "gptq_marlin": "gptq",
    "awq_marlin": "awq",
    "modelopt_fp4": "modelopt",
    "modelopt_mixed": "modelopt",
    "intel/auto_round": "auto_round",
    "inc": "auto_round",
    "sparseml": "compressed_tensors",
}

Settings = dict[str, Any]
Beside = Callable[[str], Settings | None]


class Said(msgspec.Struct, frozen=True):
    """The method of a model, None for weights stored as they are; the file beside config.json that says it, if one."""

    method: Method | None
    file: str | None = None


def method_of(config: Config, files: Beside | None = None) -> Said:
    """The method that a config names, with its settings.

    `files` gives the content of a JSON file beside config.json. What is not implemented is named by the method that is
    returned.

    Raises:
        ConfigError: the settings cannot be those of the method.
    """
    settings = settings_of(config)
    if settings is None:
        return _beside_only(config, files) if files else Said(None)
    name = _name(settings)
    if name is None:
        missing = "a quantization_config without quant_method is not understood"
        return Said(_unimplemented("unknown", missing))
    if files and module_for(name) == "modelopt":
        # config.json may have less than ModelOpt's own file: not the layers of a mixed model.
        settings = (_settings_in("hf_quant_config.json", files) or {}) | settings
    return Said(_method(config, name, settings))


def module_for(name: str) -> str:
    """The file in which a method of that name would be."""
    module = name.replace("-", "_").lower()
    return ALIASES.get(module, module)


def beside(folder: Folder) -> Beside:
    """The JSON objects that a model's folder has, by file name; None for a file that it does not hold.

    Raises (when asked for a file):
        ConfigError: it is no JSON object.
        RemoteError: it cannot be had.
    """
    return lambda name: dict(read_config(folder.fetch(name)).data) if folder.holds(name) else None


def _method(config: Config, name: str, settings: Settings) -> Method | None:
    """None where the settings leave all weights plain, as ModelOpt's do where only a cache is quantized."""
    if config.model_type == name == "bitnet" and settings.get("quantization_mode") == "online":
        # Stored plain, and rounded as they are used: the family says that it does not compute so.
        return None
    module = module_for(name)
    if module not in methods():
        return _unimplemented(f"{name:.60}", f"quantization {name!r:.60} is not implemented")
    try:
        found: Method | None = import_module(f"weightscope.quantization.{module}").method(config, settings)
    except UndeclaredError as error:
        return _unimplemented(name, error.what)
    return found


def _unimplemented(name: str, missing: str) -> Method:
    from weightscope.quantization.common.method import Unimplemented

    return Unimplemented(name=name, missing=missing)


def _name(settings: Settings) -> str | None:
    named = settings.get("quant_method")
    # ModelOpt's exporters of DeepSeek-V4 keep DeepSeek's `quant_method`.
    if named and not (named == "fp8" and ("quant_algo" in settings or "moe_quant_algo" in settings)):
        return str(named)
    return next((name for keys, name in UNNAMED if all(key in settings for key in keys)), None)


def _beside_only(config: Config, files: Beside) -> Said:
    """The method of the first file beside config.json that has settings."""
    for file, (name, _) in BESIDE.items():
        settings = _settings_in(file, files)
        if settings is not None:
            return Said(_method(config, str(settings.get("quant_method") or name), settings), file)
    return Said(None)


def _settings_in(file: str, files: Beside) -> Settings | None:
    """The settings in a file of BESIDE; None where it is not there, or is another tool's."""
    data, key = files(file), BESIDE[file][1]
    if data is None or (key and key not in data):
        return None
    if file != "hf_quant_config.json":
        return data
    inner = data["quantization"]
    return {"producer": data.get("producer")} | inner if isinstance(inner, dict) else None


def recognize(
    names: Iterable[str],
    found: Mapping[str, TensorEntry],
    *,
    shape: tuple[int, ...] | None = None,
    settings: Settings | None = None,
) -> Told | None:
    """What the tensors of one module tell without a config: the first of the methods `names` that understands them.

    `found` are the module's tensors by their marks (`.qweight`, `.scales`, `.weight`), `shape` is that of its weight
    where a family declares it, `settings` are a config's, of a model that no family declares.
    """
    for name in dict.fromkeys(module_for(name) for name in sorted(names)):
        if name in methods():
            told = getattr(import_module(f"weightscope.quantization.{name}"), "recognize", None)
            result: Told | None = told(found, shape, settings or {}) if told else None
            if result is not None:
                return result
    return None


def settings_of(config: Config) -> Settings | None:
    """What a config says of quantization, at its top level or, in a vision-language model, within `text_config`.

    Raises:
        ConfigError: it is no object.
    """
    named = _object(config, "quantization_config")
    if named is not None and isinstance(named.get("quantization_config"), dict):
        return _joined(named)
    if named is not None and named.get("quant_method"):
        return named
    # sparseml's and early compressed-tensors' key, at times with what is said of quantization and sparsity apart in it.
    compressed = _object(config, "compression_config")
    if compressed is not None and named is None:
        return {"quant_method": "compressed-tensors"} | _joined(compressed)
    # MLX's own key; its converter writes the same under both.
    return _object(config, "quantization") or named


def of_language_alone(config: Config) -> bool:
    """Whether what a config says of quantization is its language model's alone (Kimi K2.5): its eyes are plain."""
    keys = ("quantization_config", "compression_config", "quantization")
    return not any(config.data.get(key) for key in keys) and isinstance(config.data.get("text_config"), dict)


def _joined(settings: Settings) -> Settings:
    """The settings with those of an inner `quantization_config` beside the others."""
    inner = settings.get("quantization_config")
    return settings | inner if isinstance(inner, dict) else settings


@cache
def methods() -> frozenset[str]:
    """The methods that have a file."""
    import pkgutil

    from weightscope.quantization import __path__ as folders

    found = {module.name for module in pkgutil.iter_modules(folders) if not module.ispkg}
    return frozenset(found - {"registry"})


def _object(config: Config, key: str) -> dict[str, Any] | None:
    value = config.data.get(key)
    if value is None and isinstance(text := config.data.get("text_config"), dict):
        value = text.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value or None
