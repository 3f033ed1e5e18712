"""What the weights would take if they were quantized: the declaration again, with a method's settings."""

from __future__ import annotations

from typing import Any

from weightscope.analyses.memory.file_types import FILE_TYPES
from weightscope.analyses.memory.recipes import USUAL, Settings
from weightscope.analyses.rules.subject import Subject
from weightscope.config import Config
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import Declaration, declare

# Keys that say which method it is: no setting changes them.
FIXED = ("quant_method", "format", "load_in_4bit", "load_in_8bit")
SAID = ("quantization_config", "quantization", "compression_config")


def quantizing_for(text: str) -> Settings | str:
    """The settings of `METHOD` or `METHOD:key=value,…`, or the name of one of llama.cpp's file types.

    Raises:
        UsageError: no such method, or something that is no setting.
    """
    name, _, rest = text.strip().partition(":")
    if name.upper() in FILE_TYPES:
        if rest:
            raise UsageError(f"--quantize {name} has no settings")
        return name.upper()
    usual = USUAL.get(name.lower().replace("_", "-"))
    if usual is None:
        raise UsageError(
            f"--quantize has no method {name!r:.60}",
            hint=f"it has {', '.join(USUAL)}, and llama.cpp's file types: {', '.join(FILE_TYPES)}",
        )
    settings = {key: value for key, value in usual.items() if isinstance(value, int | str) and key not in FIXED}
    if rest and not settings:
        raise UsageError(f"--quantize {name} has no settings")
    given: dict[str, Any] = {}
    for item in rest.split(",") if rest else ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in settings:
            raise UsageError(
                f"--quantize {name}: {item!r:.60} is no setting of it", hint=f"it has {', '.join(settings)}"
            )
        given[key] = _value(value, settings[key], f"--quantize {name}: {key}")
    return {**usual, **given}


def _value(text: str, usual: int | str, where: str) -> int | str | bool:
    if isinstance(usual, str):
        return text
    if isinstance(usual, bool):
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{where} is {text!r:.60}, not true or false")
        return text.lower() == "true"
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10):
        raise UsageError(f"{where} is {text!r:.60}, not a number")
    return int(text)


def unquantized(subject: Subject) -> Declaration:
    """The declaration of a model that can be quantized.

    Raises:
        UsageError: there is nothing to quantize: no declared model, or one that is quantized.
    """
    if subject.config is None or subject.declaration is None or subject.declaration.part:
        raise UsageError("--quantize needs a model whose type is declared")
    if subject.declaration.contained:
        raise UsageError("a GGUF file is not quantized again", hint="name the model that it was made from")
    if subject.declaration.covered or subject.declaration.method:
        raise UsageError("the weights are quantized already", hint="name the model that they were made from")
    return subject.declaration


def quantized(subject: Subject, settings: Settings) -> Declaration:
    """The model as the method would store it.

    Raises:
        UsageError: there is nothing to quantize: no declared model, or one that is quantized.
        NotImplementedByWeightscope: the method does not take these settings.
        ConfigError: the settings cannot be the method's.
    """
    config = unquantized(subject).config
    data = {key: value for key, value in config.data.items() if key not in SAID}
    key = "quantization_config" if "quant_method" in settings else "quantization"
    declaration = declare(Config(data | {key: dict(settings)}, source=config.source))
    assert declaration
    method = declaration.method
    if method is None or method.missing:
        raise NotImplementedByWeightscope(method.missing if method else "these settings leave all weights plain")
    if not declaration.covered:
        raise UsageError(f"{method.name} quantizes nothing of this model")
    return declaration
