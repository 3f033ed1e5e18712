"""Each key of each config in turn as what it should not be: a declaration or one clear error, in little time."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from weightscope.config import Config
from weightscope.errors import WeightscopeError
from weightscope.families.declaration import declare
from weightscope.families.registry import all_families

PUBLISHED = Path(__file__).parents[2] / "fixtures" / "published"
WRONG: dict[str, Any] = {
    "null": None,
    "x": "x",
    "[]": [],
    "[x]": ["x"],
    "[null]": [None],
    "{}": {},
    "{x}": {"x": "x"},
    "0": 0,
    "-1": -1,
    "1e308": 1e308,
    "Infinity": float("inf"),
    "NaN": float("nan"),
    "true": True,
    "1.5": 1.5,
    "10**12": 10**12,
    "5,000 digits": 10**5000,
    "1,000 letters": "x" * 1000,
    "100,000 letters": "x" * 100_000,
    "a long list": [1] * 50_000,
}
SECONDS = 5.0


def configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Published ones, those of the tiny models, and each class's defaults."""
    for file in sorted(PUBLISHED.glob("*.json")):
        yield file.stem, json.loads(file.read_text())["config"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        from tests.families.tiny import TINY

        for tiny in TINY:
            yield tiny.name, json.loads(getattr(transformers, f"{tiny.kind}Config")(**tiny.keys).to_json_string(False))
    sizes = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    for kind, family in all_families().items():
        plain = {key: value for key, value in family.defaults.items() if not isinstance(value, tuple)}
        yield f"{kind} by default", {**plain, **sizes, "model_type": kind}


class Case(NamedTuple):
    """A config with one key, at its top or one level down, of a wrong kind; it is made when it is tried."""

    name: str
    config: dict[str, Any]
    path: tuple[str, ...]
    wrong: str

    def made(self) -> tuple[str, dict[str, Any]]:
        """What is tried, and the config."""
        name = f"{self.name}: {'.'.join(self.path)} = {self.wrong}"
        return name, _changed(self.config, self.path, WRONG[self.wrong])


def cases() -> Iterator[Case]:
    """Each key of each config with each wrong value."""
    for name, config in configs():
        paths: list[tuple[str, ...]] = [(key,) for key in config if key != "model_type"]
        paths += [(key, inner) for key, value in config.items() if isinstance(value, dict) for inner in value]
        for path in paths:
            for wrong in WRONG:
                yield Case(name, config, path, wrong)


def _changed(config: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = deepcopy(config) if len(path) > 1 else dict(config)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


class TooLongError(BaseException):
    """A case took more than it may; nothing catches this."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise TooLongError


def main(sample: int | None, seed: int = 0) -> None:
    """Try all cases, or a sample; write a line for each that fails."""
    chosen = cases() if sample is None else iter(random.Random(seed).sample(list(cases()), sample))
    tried = 0
    signal.signal(signal.SIGPROF, _stop)
    for name, data in (case.made() for case in chosen):
        tried += 1
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)
        try:
            declare(Config(data), {"x"})
            said = ""
        except WeightscopeError as error:
            said = "" if str(error).isprintable() else f"unprintable: {error!r}"
        except TooLongError:
            said = "took too long"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            said = f"{type(error).__name__}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        if not said and (taken := time.process_time() - started) > SECONDS:
            said = f"took {taken:.1f} s"
        if said:
            sys.stdout.write(f"{name}: {said[:300]}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{tried} cases\n")
