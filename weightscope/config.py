"""A config.json as the families read it: typed against the defaults of its class, every key that was read known."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from weightscope.brief import plural
from weightscope.checkpoint.dtypes import TORCH_NAMES
from weightscope.config_values import KIND, POSITIVE, beyond, fits
from weightscope.errors import ConfigError, UndeclaredError
from weightscope.sizes import Size

MAX_CONFIG = 10_000_000
GIT_LFS = b"version https://git-lfs"
# Where wrappers keep the config of their language model.
LANGUAGE = ("text_config", "llm_config", "language_config")
# Wrappers that were published with the keys of their language model at the top level, and the type of that model.
FLAT = {"qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text"}
# What follows `For`, which `RoFormer` has in its own name.
TASK = re.compile(r"For([A-Z].*)")
ZERO = "a size or count that is used as a divisor is 0"
# What Python itself raises where values do not go together.
FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


class Reads(set[str]):
    """The keys asked for so far, the last of them, and the keys that the classes have whose defaults were taken.

    `overruled` holds, for a key that counts, the other names of the same setting that the file has.
    """

    last = ""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        super().__init__(keys)
        self.classes: set[str] = set()
        self.overruled: dict[str, tuple[str, ...]] = {}

    def add(self, key: str, /) -> None:
        """Note that a key is asked for."""
        self.last = key
        super().add(key)


class Nullable(msgspec.Struct, frozen=True):
    """A default that a family states for a key that may be null: its type where there is a value, and the default.

    With `fills` the class puts the default in the place of null, too.
    """

    kind: type
    default: Any = None
    fills: bool = False


class Config:
    """The keys of one config.json, or of a part of it such as `text_config`.

    `config["hidden_size"]` gives a `Size` for an integer, so that what is computed from it still knows its key; a key
    that the file leaves out has its class's default. `attribute_map` holds other names of the class's keys, as the
    class's own does (`{"hidden_size": "n_embd"}`). `read` holds the keys asked for so far, dotted for nested ones.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        *,
        source: Path | None = None,
        defaults: Mapping[str, Any] = MappingProxyType({}),
        attribute_map: Mapping[str, str] = MappingProxyType({}),
        prefix: str = "",
        read: Reads | None = None,
    ) -> None:
        self.data = data
        self.source = source
        self.defaults = defaults
        self.attribute_map = attribute_map
        self.prefix = prefix
        self.read = Reads() if read is None else read

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have: a proxy of a mapping has neither."""
        return self.__dict__ | {"defaults": dict(self.defaults), "attribute_map": dict(self.attribute_map)}

    def __repr__(self) -> str:
        return f"Config({self.model_type or self.prefix or 'no model type'}, {plural(len(self.data), 'key')})"

    def __getitem__(self, key: str) -> Any:
        key = self.attribute_map.get(key, key)
        if key not in self.defaults:
            raise AssertionError(f"{self.model_type} reads {self.prefix + key!r}, which it does not declare")
        spelled, *others = self._spellings(key) or [key]
        self.read.add(self.prefix + spelled)
        if others:
            self.read.overruled[self.prefix + spelled] = tuple(self.prefix + other for other in others)
        default = self.defaults[key]
        fallback = default.default if isinstance(default, Nullable) else default
        if spelled not in self.data:
            return self._size(spelled, fallback)
        value = self.data[spelled]
        self._check_type(spelled, value, default)
        if value is None and isinstance(default, Nullable) and default.fills:
            value = fallback
        return self._size(spelled, value)

    def __contains__(self, key: str) -> bool:
        return bool(self._spellings(self.attribute_map.get(key, key)))

    def declares(self, key: str) -> bool:
        """Whether the class has that key: what it does not have, it does not read."""
        return self.attribute_map.get(key, key) in self.defaults

    @property
    def model_type(self) -> str:
        """The `model_type` key, or an empty string."""
        value = self.data.get("model_type")
        return value if isinstance(value, str) else ""

    @property
    def architecture(self) -> str:
        """The first of `architectures`, such as LlamaForCausalLM, or an empty string."""
        value = self.data.get("architectures")
        return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else ""

    @property
    def own_class(self) -> str:
        """The class that `AutoModel` loads of the model's own code (`auto_map`), or an empty string."""
        mapped = self.data.get("auto_map")
        named = mapped.get("AutoModel") if isinstance(mapped, dict) else None
        return named.rpartition(".")[2] if isinstance(named, str) else ""

    @property
    def is_base_model(self) -> bool:
        """Whether the config was saved with a model without head (`LlamaModel`), whose names carry no root prefix."""
        name = self.architecture
        return name.endswith("Model") and not name.endswith(("LMHeadModel", "MTModel")) and not self.task

    @property
    def task(self) -> str:
        """What the model was saved for: what follows `For` in its architecture; empty where nothing says so."""
        found = TASK.search(self.architecture)
        return found[1] if found else ""

    @property
    def labels(self) -> Size:
        """Classes of a classifier: `num_labels`, which transformers sets last, or the names in `id2label`, or two."""
        names, count = self.data.get("id2label"), self.data.get("num_labels")
        if isinstance(count, int):
            self._check_bounds("num_labels", count)
            if count > 0:
                return Size(count, "num_labels")
        return Size(len(names) if isinstance(names, dict) else 2, "id2label")

    @property
    def dtype(self) -> str | None:
        """The dtype that the config names (`dtype`, formerly `torch_dtype`), as safetensors spells it."""
        value = self.data.get("dtype", self.data.get("torch_dtype"))
        if value is None and isinstance(text := self.data.get("text_config"), dict):
            value = text.get("dtype", text.get("torch_dtype"))
        return TORCH_NAMES.get(value.removeprefix("torch.")) if isinstance(value, str) else None

    def nested(self, key: str) -> Config:
        """The part of the config under `key`, without defaults until a family gives it its own.

        Raises:
            ConfigError: the key is absent or not an object.
        """
        self.read.add(self.prefix + key)
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self.error(
                f"lacks {self.prefix + key!r}, which {self.model_type or 'the model'} needs as a JSON object"
            )
        return Config(value, source=self.source, prefix=f"{self.prefix}{key}.", read=self.read)

    def with_defaults(
        self, defaults: Mapping[str, Any], attribute_map: Mapping[str, str] = MappingProxyType({})
    ) -> Config:
        """The same keys under another class's defaults and other spellings."""
        self.read.classes.update(self.prefix + key for key in (*defaults, *attribute_map))
        return Config(
            self.data,
            source=self.source,
            defaults=defaults,
            attribute_map=attribute_map,
            prefix=self.prefix,
            read=self.read,
        )

    def error(self, what: str, hint: str = "") -> ConfigError:
        """A `config-invalid` error about this config."""
        return ConfigError(what, where=self.source or "config.json", hint=hint, code="config-invalid")

    def undeclared(self, what: str) -> UndeclaredError:
        """An error that says what of this config no family declares."""
        return UndeclaredError(what, where=self.source)

    @contextmanager
    def describing(self, model_type: str) -> Iterator[None]:
        """Turn what Python raises of values that do not go together into an error about this config.

        Raises:
            ConfigError: it names the key that was read last.
        """
        try:
            yield
        except ZeroDivisionError as error:
            raise self.error(ZERO) from error
        except FAULTS as error:
            last = f", after reading {self.read.last!r}" if self.read.last else ""
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise self.error(f"its values do not describe a {model_type} model ({why:.200}){last}") from error

    def _spellings(self, own: str) -> list[str]:
        """The names under which the file has the class's key `own`; the first of them counts.

        The class sets its own name first, then its other names in the file's order; what it sets last counts.
        """
        names = [other for other, name in self.attribute_map.items() if name == own and other in self.data]
        if len(names) > 1:
            names.sort(key=list(self.data).index, reverse=True)
        return [*names, own] if own in self.data else names

    def _size(self, key: str, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return Size(value, self.prefix + key)
        return value

    def _check_type(self, key: str, value: Any, default: Any) -> None:
        """What the class's default is, the value must be; null is allowed where it can stand for something."""
        expected = default.kind if isinstance(default, Nullable) else type(default)
        if value is None and expected is int and not isinstance(default, Nullable):
            raise self.error(f"{self.prefix + key!r} is null, not a whole number")
        self._check_bounds(key, value)
        if value is not None and expected is not type(None):
            self._check_kind(key, value, expected)

    def _check_bounds(self, key: str, value: Any) -> None:
        if said := beyond(value):
            raise self.error(f"{self.prefix + key!r} {said}")

    def _check_kind(self, key: str, value: Any, expected: type) -> None:
        if not fits(value, expected):
            raise self.error(f"{self.prefix + key!r} is {value!r:.60}, not {KIND.get(expected, expected.__name__)}")
        if expected is int and value < 0:
            raise self.error(f"{self.prefix + key!r} is {value:,}, and cannot be negative")
        if expected is int and value == 0 and key in POSITIVE:
            raise self.error(f"{self.prefix + key!r} is 0, and must be at least 1")


def _invalid(path: Path, what: str) -> ConfigError:
    return ConfigError(what, where=path, hint="download it again from the model's repository", code="config-invalid")


def _decoded(raw: bytes, path: Path) -> object:
    """What the JSON says.

    Raises:
        ConfigError: it is not JSON, or gives one key twice.
    """
    raw = raw.removeprefix(BOM_UTF8)
    try:
        data: object = msgspec.json.decode(raw)
        # Written again it has fewer colons where a key was there twice; only an escape could make up for one.
        if b"\\" not in raw and msgspec.json.encode(data).count(b":") == raw.count(b":"):
            return data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    from weightscope.checkpoint.slow_json import NotJSONError, RepeatedKeyError, decoded_slowly

    try:
        return decoded_slowly(raw)
    except NotJSONError as error:
        raise _invalid(path, str(error)) from None
    except RepeatedKeyError as error:
        raise ConfigError(
            str(error),
            where=path,
            hint="loaders use the last one: remove one of the two",
            code="config-invalid",
        ) from None


def read_config(path: Path) -> Config:
    """The config.json at `path`.

    Raises:
        ConfigError: not a JSON object (`config-invalid`).
    """
    if path.exists() and not path.is_file():
        raise _invalid(path, "not a regular file")
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_CONFIG else b""
    except OSError as error:
        raise _invalid(path, f"cannot be read ({error.strerror})") from None
    if not raw:
        raise _invalid(path, "is empty, or too large for a config")
    if raw.startswith(GIT_LFS):
        raise ConfigError(
            "a Git LFS pointer, not the file", where=path, hint="run `git lfs pull`", code="config-invalid"
        )
    data = _decoded(raw, path)
    if not isinstance(data, dict):
        raise _invalid(path, "not a JSON object")
    return Config(data, source=path)
