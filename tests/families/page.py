"""The page of docs/families.md, from the registry, the families' own code and the tests' tables.

`python -m tests.families.page` writes it; tests/test_families_page.py says when that is due.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import transformers

from tests.components.test_logits import DECODERS
from tests.families.remote_code import REMOTE
from tests.families.remote_eyes import BY_INDEX, BY_OTHERS, REMOTE_TOWERS, WHOLE_SIZE
from tests.families.test_against_transformers import BY_PARTS, RESPELLED
from tests.families.test_published import DECLARED, INDEXED, OTHER_NAMES, OTHER_PARTS, OTHER_SIZES, QUANTIZED
from tests.families.tiny import TINY, Tiny
from tests.families.tiny_blips import TINY_BLIPS
from tests.families.tiny_captioners import TINY_CAPTIONERS
from tests.families.tiny_clap import HALVES, TINY_CLAP
from tests.families.tiny_encoders import TINY_ENCODERS
from tests.families.tiny_flagships import TINY_FLAGSHIPS
from tests.families.tiny_fuyu import TINY_FUYU
from tests.families.tiny_kin import TINY_KIN
from tests.families.tiny_omni import TINY_OMNI
from tests.families.tiny_phi4 import TINY_PHI4
from tests.families.tiny_sam import TINY_SAM
from tests.families.tiny_seq2seq import TINY_SEQ2SEQ
from tests.families.tiny_speech import TINY_HEARING, TINY_SPEECH
from tests.families.tiny_waves import TINY_WAVES
from tests.families.tiny_xlnet import TINY_XLNET
from tests.forward import (
    test_contrast,
    test_gemma4_eyes,
    test_gemma_eyes,
    test_llavas,
    test_mixed_eyes,
    test_packed_images,
)
from tests.forward.test_cohere_eyes import CROPPED
from tests.forward.test_deepseek_eyes import SQUARED
from tests.forward.test_glm_vision import GLM
from tests.forward.test_grid_images import SEEING
from tests.forward.test_llama_vision import BY_META
from tests.forward.test_naflex import NAFLEX
from tests.forward.test_resampled import RESAMPLED
from tests.forward.test_tiles import TILED
from tests.forward.test_towers import TOWERS
from tests.forward.test_vision import PICTURED
from weightscope.families.common.causal_lm import Output
from weightscope.families.common.refusals import not_computed, refuse, require
from weightscope.families.registry import Family, all_families, component_of

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
# What every family refuses, said once above the table.
SHARED = (Output.of, component_of)
# The tiny models whose logits are those of transformers.
COMPUTED = [
    *DECODERS,
    *PICTURED,
    *SEEING,
    *TILED,
    *BY_META,
    *GLM,
    *TOWERS,
    *RESAMPLED,
    *CROPPED,
    *NAFLEX,
    *SQUARED,
    *test_gemma_eyes.COMPUTED,
    *test_packed_images.COMPUTED,
    *test_gemma4_eyes.COMPUTED,
    *test_mixed_eyes.COMPUTED,
    *test_contrast.COMPUTED,
    *TINY_ENCODERS,
    *TINY_PHI4,
    *TINY_SAM,
    *TINY_SEQ2SEQ,
    *TINY_XLNET,
    *TINY_SPEECH,
    *(tiny for tiny in TINY_HEARING if tiny.model != "Model"),
    *TINY_KIN,
    *(tiny for tiny in TINY_FLAGSHIPS if tiny.model != "Model"),
    *TINY_BLIPS,
    *(tiny for tiny in TINY_CAPTIONERS if tiny.model != "Model"),
    *TINY_FUYU,
    *TINY_CLAP,
    *HALVES,
    *TINY_OMNI,
    *TINY_WAVES,
    *test_llavas.CUT,
    *test_llavas.WHOLE,
]
HEAD = """\
# Families

Written by `python -m tests.families.page` from the registry, the families' code and the tests' tables; a test fails
when it is out of date.

For each model type: the file that declares it; what its names, shapes and counts are tested against; what its logits
are tested against; and what it refuses by name instead of approximating. *tiny*: small random models that transformers
{version} builds and saves. A type that transformers does not have is tested against one with the same maths, its
tensors renamed to the published names (*as …*). *configs* and *indexes* are published ones: a config gives a count, an
index gives names and total size.

Any type refuses an activation, a rope scaling, a task's head or a part's type that is not implemented. Other types are
read too, with roles guessed from names.

| type | file | names, shapes, counts | logits | refused |
| --- | --- | --- | --- | --- |
"""
EXCEPTIONS = """
## Known and not declared

Its roles are guessed from names; a declared language model within it is declared. `forward` refuses it: kimi_k3, which
transformers does not have either. Videos are refused everywhere.

## Published models that differ from their config

| model | how |
| --- | --- |
"""


def page() -> str:
    """The whole page."""
    version = ".".join(transformers.__version__.split(".")[:2])
    rows = [_row(found) for found in all_families().values()]
    differing = sorted((OTHER_NAMES | OTHER_SIZES | OTHER_PARTS).items())
    return (
        HEAD.replace("{version}", version)
        + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
        + EXCEPTIONS
        + "".join(f"| {model} | {_cell(reason)} |\n" for model, reason in differing)
    )


def _row(found: Family) -> tuple[str, ...]:
    file = f"[{found.module}.py](../weightscope/families/{found.path}.py)"
    return (
        f"`{found.model_type}`",
        file,
        ", ".join(_names(found.model_type)) or "nothing",
        ", ".join(_logits(found.model_type)) or "not checked",
        _cell("; ".join(dict.fromkeys(refusals(found.build)))),
    )


def _names(model_type: str) -> Iterator[str]:
    tiny = [t for t in TINY if _type_of(t) == model_type]
    if tiny:
        yield f"{len(tiny)} tiny"
    if model_type in WHOLE_SIZE:
        yield "1 of full size, without values"
    if model_type in BY_PARTS:
        yield BY_PARTS[model_type][0]
    yield from _remote(model_type)
    for word, models in (("config", DECLARED), ("index", INDEXED)):
        count = sum(model["config"].get("model_type") == model_type for model in models)
        if count:
            yield f"{count} {word}{'' if count == 1 else 'es' if word == 'index' else 's'}"
    if BY_INDEX.get(model_type):
        yield f"{BY_INDEX[model_type]} index"
    packed = sum(model["config"].get("model_type") == model_type for model in QUANTIZED)
    if packed:
        yield f"{packed} as before quantization"


def _logits(model_type: str) -> Iterator[str]:
    tiny = {t.name for t in COMPUTED if _type_of(t) == model_type}
    if tiny:
        yield f"{len(tiny)} tiny"
    if model_type in BY_PARTS:
        yield BY_PARTS[model_type][1]
    if model_type in BY_OTHERS:
        yield BY_OTHERS[model_type]
    yield from _remote(model_type)


def _remote(model_type: str) -> Iterator[str]:
    built = [remote for remote in (*REMOTE, *REMOTE_TOWERS) if remote.model_type == model_type]
    for oracle in sorted({_type_of(remote.oracle) for remote in built}):
        count = sum(_type_of(remote.oracle) == oracle for remote in built)
        yield f"{count} tiny as `{oracle}`"
    if model_type in RESPELLED:
        yield f"tiny as `{RESPELLED[model_type]}`"


def _type_of(tiny: Tiny) -> str:
    return str(getattr(transformers, f"{tiny.kind}Config").model_type)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def refusals(build: Callable[..., Any], seen: set[str] | None = None) -> Iterator[str]:
    """What a build function, and those of the families that it calls, say when they refuse a config or its maths."""
    seen = set() if seen is None else seen
    name = f"{build.__module__}.{build.__qualname__}"
    if name in seen:
        return
    seen.add(name)
    names = inspect.getclosurevars(build).globals
    tree = ast.parse(textwrap.dedent(inspect.getsource(build)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        function = names.get(called)
        if called in ("undeclared", "UndeclaredError", "NotImplementedByWeightscope") and node.args:
            yield _text(node.args[0], names).removesuffix(" is not declared").removesuffix(" are not declared")
        elif function in (refuse, require, not_computed):
            yield _settings(node, names)
        elif inspect.isfunction(function) and function not in SHARED and ".families." in function.__module__:
            yield from refusals(function, seen)
        for keyword in node.keywords:
            if keyword.arg in ("refused", "beyond"):
                yield from _texts(keyword.value, names)


def _settings(node: ast.Call, names: Mapping[str, Any]) -> str:
    """The settings that `refuse`, `require` and `not_computed` name."""
    model, settings = _text(node.args[1], names), _value(node.args[2], names)
    if names[node.func.id] is not refuse:  # type: ignore[attr-defined]
        settings = [_other(key, value) for key, value in settings.items()]
    return f"{model} with " + ", ".join(settings)


def _other(key: str, value: Any) -> str:
    """A setting that has another value than the one that is declared, or than those that are."""
    if value is None or value is False:
        return key
    known = value if isinstance(value, tuple) else (value,)
    return f"another {key} than " + " or ".join(map(repr, known))


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    return names[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)


def _texts(node: ast.AST, names: Mapping[str, Any]) -> Iterator[str]:
    """The sentences of an expression: literals, and constants of the module."""
    if isinstance(node, ast.JoinedStr | ast.Constant | ast.Name):
        text = _text(node, names)
        if text and text != "…":
            yield text
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and names.get(node.func.id) is not_computed:
        return
    for child in ast.iter_child_nodes(node):
        # What decides between sentences is none.
        if not (isinstance(node, ast.IfExp) and child is node.test):
            yield from _texts(child, names)


def _text(node: ast.AST, names: Mapping[str, Any]) -> str:
    """A string as far as the code alone tells it."""
    if isinstance(node, ast.JoinedStr):
        return re.sub("…[… ]*…", "…", "".join(_text(part, names) for part in node.values))
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, names)
    value = names.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    return value.replace("{:,}", "…") if isinstance(value, str) else "…"


if __name__ == "__main__":
    PAGE.write_text(page())
