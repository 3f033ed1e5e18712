"""Imports point one way, and what is heavy is imported by nothing that only reads headers."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import weightscope
from weightscope.families.table import MODULES

PACKAGE = Path(weightscope.__file__).parent
ROOT = PACKAGE.parent
# What each part of the package may import of the others; the words all share may be imported by every part.
WORDS = {
    "brief",
    "config_values",
    "errors",
    "escapes",
    "expressions",
    "findings",
    "interrupt",
    "pool",
    "ranges",
    "roles",
    "sizes",
}
ALLOWED = {
    # Objects ask how a notebook shows them; `display` is the one way up, and nothing imports it before that.
    "brief": {"display"},
    "display": {"output"},
    "config_values": set(),
    "errors": set(),
    "escapes": set(),
    "expressions": set(),
    "interrupt": set(),
    "findings": set(),
    "pool": set(),
    "ranges": set(),
    "roles": set(),
    "sizes": set(),
    "checkpoint": set(),
    "config": {"checkpoint"},
    "storage": {"config"},
    "quantization": {"storage", "config", "checkpoint"},
    "adapters": {"quantization", "storage", "config", "checkpoint"},
    "components": {"storage", "config"},
    "families": {"components", "quantization", "storage", "config"},
    "gguf": {"families", "components", "quantization", "storage", "config", "checkpoint"},
    "analyses": {"families", "components", "adapters", "quantization", "storage", "config", "checkpoint", "display"},
    "api": {
        "analyses",
        "gguf",
        "families",
        "components",
        "adapters",
        "quantization",
        "storage",
        "config",
        "checkpoint",
        "display",
    },
    "output": {"analyses", "api"},
    "settings": {"analyses", "toml"},
    "toml": set(),
    "browse": {"analyses", "api", "output", "checkpoint"},
    "mcp": {"analyses", "output", "api", "checkpoint"},
    "completion": {"analyses", "api", "checkpoint"},
    "commands": {"analyses", "output", "api", "browse", "settings", "mcp", "completion"},
    "cli": {"commands"},
    "__main__": {"cli"},
    "__init__": {"analyses", "api"},
}


@cache
def imports(file: Path) -> set[str]:
    """The modules and names that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def test_imports_point_one_way() -> None:
    wrong = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        others = {name.split(".")[1] for name in imports(file) if name.startswith("weightscope.")}
        if beyond := (others & set(ALLOWED)) - {part} - ALLOWED[part] - WORDS:
            wrong[str(file.relative_to(PACKAGE))] = beyond
    assert wrong == {}


KINDS = ("text", "vision", "multimodal", "encoders", "seq2seq", "audio")
FAMILIES = sorted(file for kind in KINDS for file in (PACKAGE / "families" / kind).glob("*.py"))


def test_a_family_fits_on_a_page_and_reaches_for_nobody_s_internals() -> None:
    others = tuple(f"weightscope.families.{kind}." for kind in KINDS)
    reached = {
        (file.stem, name)
        for file in FAMILIES
        for name in imports(file)
        if name.startswith(others) or (name.startswith("weightscope.") and "._" in name)
    }
    assert reached == set()
    assert {file.stem for file in FAMILIES if len(file.read_text().splitlines()) > 80} == set()


def test_most_families_are_shorter_than_fifty_lines() -> None:
    lengths = [len(file.read_text().splitlines()) for file in FAMILIES if file.name != "__init__.py"]
    assert sum(length < 50 for length in lengths) > len(lengths) / 2


def test_the_table_of_model_types_is_what_the_files_declare() -> None:
    declared = {
        (argument.value, f"{file.parent.name}.{file.stem}")
        for file in FAMILIES
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "family"
        for argument in decorator.args
        if isinstance(argument, ast.Constant)
    }
    assert declared == set(MODULES.items())
    assert list(MODULES) == sorted(MODULES)


def test_rich_is_imported_by_the_terminal_alone() -> None:
    users = {file.name for file in PACKAGE.rglob("*.py") if any(name.split(".")[0] == "rich" for name in imports(file))}
    # Labels of Textual's trees are Rich's texts.
    assert users == {"terminal.py", "progress.py", "tree.py"}


def modules_after(*arguments: str) -> set[str]:
    """What a run of the command line has imported by its end."""
    code = (
        "import sys, json\nsys.argv = ['weightscope', *json.loads(sys.argv[1])]\n"
        "from weightscope.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout
    return set(json.loads(run.stderr))


NETWORK = {
    "huggingface_hub",
    "httpx2",
    "fsspec",
    "tqdm",
    "ssl",
    "weightscope.checkpoint.hub",
    "weightscope.checkpoint.wire",
}
HEAVY = {"torch", "numpy", "ml_dtypes", "safetensors", "transformers"} | NETWORK


def test_help_imports_nothing_heavy() -> None:
    modules = modules_after("--help")
    assert not modules & (HEAVY | {"rich.console", "rich.table", "rich.markdown", "rich.progress"})
    assert not [name for name in modules if name.startswith(("weightscope.families.", "weightscope.analyses."))]


@pytest.mark.parametrize("command", ["inspect", "params", "tensors"])
@pytest.mark.parametrize("fixture", ["llama", "llama-1", "gpt2", "deepseek-v3"])
def test_headers_are_read_without_torch_or_numpy(command: str, fixture: str) -> None:
    assert not modules_after(command, f"fixtures/{fixture}") & HEAVY


def test_headers_of_two_models_are_compared_without_torch_or_numpy() -> None:
    assert not modules_after("diff", "fixtures/llama", "fixtures/llama-1") & HEAVY


# What a plain decoder has nothing of.
OTHERS = ("altup", "attention.indexer", "attention.latent", "feed_forward.moe", "mixers", "prediction.", "recurrent.")


@pytest.mark.parametrize("fixture", ["llama", "gpt2"])
def test_a_model_imports_no_maths_of_others(fixture: str) -> None:
    unused = tuple(f"weightscope.components.{name}" for name in OTHERS)
    assert {name for name in modules_after("inspect", f"fixtures/{fixture}") if name.startswith(unused)} == set()


def test_values_are_read_without_the_network() -> None:
    assert not modules_after("check", "fixtures/llama", "--values") & NETWORK


def test_an_empty_cache_is_listed_without_the_network() -> None:
    assert not modules_after("cache") & (HEAVY - {"huggingface_hub"})


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
def test_pipes_and_files_do_without_rich(format: str) -> None:
    assert not {name for name in modules_after("inspect", "fixtures/llama", "--format", format) if "rich" in name}


@pytest.mark.parametrize("command", ["inspect", "check", "params"])
def test_what_notebooks_show_is_imported_by_no_command(command: str) -> None:
    modules = modules_after(command, "fixtures/llama")
    assert not {name for name in modules if name.startswith(("weightscope.display", "weightscope.output.web"))}
