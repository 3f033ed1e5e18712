"""The CI formats: literal blocks, escaping, and other people's schemas over whatever a hostile file can say."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from weightscope.analyses.checking import Checked, CheckResult
from weightscope.findings import CODES, SEVERITIES, Finding
from weightscope.output.ci import CI_FORMATS, to_github, to_gitlab, to_junit, to_rdjson, to_sarif
from weightscope.output.places import Place, located

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
# Formats are checked only where named, and this fails where their checkers are not installed.
SARIF = jsonschema.Draft4Validator(
    json.loads((DATA / "sarif-schema-2.1.0.json").read_text()),
    format_checker=jsonschema.FormatChecker(["uri", "uri-reference"]),
)
JUNIT = xmlschema.XMLSchema(DATA / "junit-10.xsd")
RDJSON = jsonschema.Draft7Validator(json.loads((DATA / "rdformat.schema.json").read_text()))
# The fields that GitLab's page on Code Quality documents; paths are relative and without `./`.
GITLAB = jsonschema.Draft7Validator(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "minLength": 1},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                        },
                    },
                },
            },
        },
    }
)

SHAPE = Finding(
    code="shape-mismatch",
    severity="error",
    message="model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], the config says [24, 24]",
    tensors=("model.layers.{0–1}.self_attn.k_proj.weight",),
    expected=[24, 24],
    actual=[8, 24],
    config=("num_key_value_heads", "head_dim", "hidden_size"),
    hint="every k_proj and v_proj fits num_key_value_heads = 2",
)
TOTAL = Finding(
    code="size-mismatch",
    severity="warning",
    message="model.safetensors.index.json says total_size 8, the tensors take 16 bytes (100% more)",
    expected=8,
    actual=16,
    hint="rewrite the index",
)
DTYPE = Finding(
    code="dtype-mismatch",
    severity="info",
    message="the weights are stored in F32, the config says BF16",
    expected="BF16",
    actual="F32",
    config=("dtype",),
)
UNEXPECTED = Finding(
    code="unexpected-tensor",
    severity="warning",
    message="1 tensor not in the architecture of config.json: extra",
    tensors=("extra",),
)
CONFIG = '{\n  "hidden_size": 24,\n  "num_key_value_heads": 6,\n  "head_dim": 4,\n  "dtype": "bfloat16"\n}\n'


def verdict(reference: str, *findings: Finding, ok: bool) -> CheckResult:
    return CheckResult(reference=reference, ok=ok, checked=Checked(tensors=30, rules=18), findings=findings)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with models/a, which has a config and an index, and models/b c, which has one file."""
    for name, text in {
        "a/config.json": CONFIG,
        "a/generation_config.json": "{}",
        "a/model.safetensors.index.json": '{"weight_map": {}}',
        "a/model-00001-of-00001.safetensors": "",
        "b c/model.safetensors": "",
    }.items():
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    for variable in ("CI_PROJECT_DIR", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


RESULTS = (
    verdict("models/a", SHAPE, TOTAL, DTYPE, ok=False),
    verdict("models/b c", UNEXPECTED, ok=True),
    verdict("org/clean@main", ok=True),
)

GITHUB = """\
::error file=models/a/config.json,line=3,title=shape-mismatch::model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], \
the config says [24, 24]%0Aevery k_proj and v_proj fits num_key_value_heads = 2
::warning file=models/a/model.safetensors.index.json,title=size-mismatch::model.safetensors.index.json says total_size \
8, the tensors take 16 bytes (100%25 more)%0Arewrite the index
::notice file=models/a/config.json,line=5,title=dtype-mismatch::the weights are stored in F32, the config says BF16
::warning file=models/b c/model.safetensors,title=unexpected-tensor::1 tensor not in the \
architecture of config.json: extra
weightscope check: 3 models, 1 failed; 1 error, 2 warnings, 1 note
"""
SARIF_RESULTS = [
    {
        "ruleId": "shape-mismatch",
        "ruleIndex": 2,
        "level": "error",
        "message": {
            "text": "model.layers.{{0–1}}.self_attn.k_proj.weight: [8, 24], the config says [24, 24]\n"
            "every k_proj and v_proj fits num_key_value_heads = 2"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "models/a/config.json", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 3},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": "model.layers.{0–1}.self_attn.k_proj.weight", "kind": "member"}
                ],
            }
        ],
        "partialFingerprints": {"weightscope/v1": "d3385a1071523776f138fd3aea780588:1"},
        "properties": {
            "model": "models/a",
            "expected": [24, 24],
            "actual": [8, 24],
            "config": ["num_key_value_heads", "head_dim", "hidden_size"],
            "hint": "every k_proj and v_proj fits num_key_value_heads = 2",
        },
    },
    {
        "ruleId": "unexpected-tensor",
        "ruleIndex": 1,
        "level": "warning",
        "message": {"text": "1 tensor not in the architecture of config.json: extra"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "models/b%20c/model.safetensors", "uriBaseId": "%SRCROOT%"}
                },
                "logicalLocations": [{"fullyQualifiedName": "extra", "kind": "member"}],
            }
        ],
        "partialFingerprints": {"weightscope/v1": "cfbd889c05aa71d3e4d94061ad589d25:1"},
        "properties": {"model": "models/b c"},
    },
]
JUNIT_TEXT = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="weightscope" tests="5" failures="1" errors="0">
  <testsuite name="models/a" tests="3" failures="1" errors="0" skipped="0">
    <testcase classname="models/a" name="shape-mismatch">
      <failure type="shape-mismatch" message="model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], the config says \
[24, 24]">model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], the config says [24, 24]
tensors: model.layers.{0–1}.self_attn.k_proj.weight
expected: [24, 24]
actual: [8, 24]
config: num_key_value_heads, head_dim, hidden_size
hint: every k_proj and v_proj fits num_key_value_heads = 2</failure>
    </testcase>
    <testcase classname="models/a" name="size-mismatch">
      <system-out>warning: model.safetensors.index.json says total_size 8, the tensors take 16 bytes (100% more)
expected: 8
actual: 16
hint: rewrite the index</system-out>
    </testcase>
    <testcase classname="models/a" name="dtype-mismatch">
      <system-out>info: the weights are stored in F32, the config says BF16
expected: BF16
actual: F32
config: dtype</system-out>
    </testcase>
  </testsuite>
  <testsuite name="models/b c" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="models/b c" name="unexpected-tensor">
      <system-out>warning: 1 tensor not in the architecture of config.json: extra
tensors: extra</system-out>
    </testcase>
  </testsuite>
  <testsuite name="org/clean@main" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="org/clean@main" name="check">
      <system-out>Checked 30 tensors, 18 rules.</system-out>
    </testcase>
  </testsuite>
</testsuites>
"""


GITLAB_ISSUES = [
    {
        "description": "model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], the config says [24, 24]; every k_proj "
        "and v_proj fits num_key_value_heads = 2",
        "check_name": "shape-mismatch",
        "fingerprint": "d3385a1071523776f138fd3aea780588:1",
        "severity": "major",
        "location": {"path": "models/a/config.json", "lines": {"begin": 3}},
    },
    {
        "description": "1 tensor not in the architecture of config.json: extra",
        "check_name": "unexpected-tensor",
        "fingerprint": "cfbd889c05aa71d3e4d94061ad589d25:1",
        "severity": "minor",
        "location": {"path": "models/b c/model.safetensors", "lines": {"begin": 1}},
    },
]
RDJSON_DIAGNOSTICS = [
    {
        "message": "model.layers.{0–1}.self_attn.k_proj.weight: [8, 24], the config says [24, 24]\n"
        "every k_proj and v_proj fits num_key_value_heads = 2",
        "location": {"path": "models/a/config.json", "range": {"start": {"line": 3}}},
        "severity": "ERROR",
        "code": {"value": "shape-mismatch"},
    },
    {
        "message": "1 tensor not in the architecture of config.json: extra",
        "location": {"path": "models/b c/model.safetensors"},
        "severity": "WARNING",
        "code": {"value": "unexpected-tensor"},
    },
]


def gitlab_of(*results: CheckResult) -> list[dict[str, Any]]:
    """The issues, after what GitLab documents has seen them."""
    issues: list[dict[str, Any]] = json.loads(to_gitlab(results))
    GITLAB.validate(issues)
    return issues


def rdjson_of(*results: CheckResult) -> list[dict[str, Any]]:
    """The diagnostics, after the schema has seen them."""
    log = json.loads(to_rdjson(results))
    RDJSON.validate(log)
    diagnostics: list[dict[str, Any]] = log["diagnostics"]
    return diagnostics


def sarif_of(*results: CheckResult) -> dict[str, Any]:
    """The one run, after the schema has seen it."""
    log = json.loads(to_sarif(results))
    SARIF.validate(log)
    run: dict[str, Any] = log["runs"][0]
    return run


@pytest.mark.usefixtures("here")
def test_github_block() -> None:
    assert to_github(RESULTS) == GITHUB


@pytest.mark.usefixtures("here")
def test_junit_block() -> None:
    assert to_junit(RESULTS) == JUNIT_TEXT
    JUNIT.validate(to_junit(RESULTS))


@pytest.mark.usefixtures("here")
def test_sarif_block() -> None:
    run = sarif_of(*RESULTS)
    assert [run["results"][0], run["results"][3]] == SARIF_RESULTS
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note", "warning"]
    assert [model["ok"] for model in run["properties"]["models"]] == [False, True, True]


@pytest.mark.usefixtures("here")
def test_gitlab_block() -> None:
    issues = gitlab_of(*RESULTS)
    assert [issues[0], issues[3]] == GITLAB_ISSUES
    assert [issue["severity"] for issue in issues] == ["major", "minor", "info", "minor"]


@pytest.mark.usefixtures("here")
def test_rdjson_block() -> None:
    diagnostics = rdjson_of(*RESULTS)
    assert [diagnostics[0], diagnostics[3]] == RDJSON_DIAGNOSTICS
    assert [diagnostic["severity"] for diagnostic in diagnostics] == ["ERROR", "WARNING", "INFO", "WARNING"]


@pytest.mark.parametrize("linked", [False, True])
def test_paths_are_those_of_the_repository(here: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    """From whatever directory of it a job calls `check`; reviewdog itself adds the working directory."""
    root = here
    if linked:
        root = here.with_name("link")
        root.symlink_to(here)
    monkeypatch.chdir(here / "models")
    result = verdict("a", SHAPE, ok=False)

    def paths() -> list[str]:
        sarif = sarif_of(result)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        github = re.search("file=([^,]*),", to_github([result]))
        assert github
        places = [gitlab_of(result)[0], rdjson_of(result)[0]]
        return [*(place["location"]["path"] for place in places), github[1], sarif]

    assert paths() == ["a/config.json"] * 4
    monkeypatch.setenv("CI_PROJECT_DIR", str(root))
    assert paths() == ["models/a/config.json", *["a/config.json"] * 3]
    assert gitlab_of(result)[0] == GITLAB_ISSUES[0]
    monkeypatch.setenv("GITHUB_WORKSPACE", str(root))
    assert paths() == ["models/a/config.json", "a/config.json", *["models/a/config.json"] * 2]
    # What lies elsewhere is told as before.
    monkeypatch.setenv("GITHUB_WORKSPACE", "/nowhere")
    assert paths()[2:] == ["a/config.json"] * 2


def test_gitlab_and_rdjson_have_the_keys_that_ruff_writes(tmp_path: Path) -> None:
    """Both systems read what ruff writes; ours has no column, so no `positions` and no `end`."""
    (tmp_path / "a.py").write_text("import os\n")
    theirs = {}
    for form in ("gitlab", "rdjson"):
        command = [find_ruff_bin(), "check", "--isolated", "--no-cache", "--output-format", form, "."]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        theirs[form] = json.loads(run.stdout)
    assert set(theirs["gitlab"][0]) == set(GITLAB_ISSUES[0])
    assert set(theirs["rdjson"]) - {"severity"} == {"source", "diagnostics"}
    diagnostic = theirs["rdjson"]["diagnostics"][0]
    assert set(diagnostic) - {"suggestions"} == set(RDJSON_DIAGNOSTICS[0]) - {"severity"}
    assert set(diagnostic["location"]) == set(RDJSON_DIAGNOSTICS[0]["location"])


def test_sarif_rules_are_the_codes() -> None:
    driver = sarif_of()["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(CODES)
    assert [rule["shortDescription"]["text"] for rule in driver["rules"]] == list(CODES.values())
    page = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    for rule in driver["rules"]:
        entry = page.partition(f"\n## {rule['id']}\n")[2].partition("\n## ")[0].strip()
        assert rule["help"]["markdown"].replace("{{", "{").replace("}}", "}").replace("] (", "](") == entry
        usual = "warning" if re.search(r"^\*Warning", entry, re.MULTILINE) else "error"
        assert rule["defaultConfiguration"]["level"] == usual, rule["id"]


def test_nothing_checked_is_still_a_document() -> None:
    assert to_github([]) == "weightscope check: 0 models, 0 failed; nothing found\n"
    JUNIT.validate(to_junit([]))
    assert sarif_of()["results"] == gitlab_of() == rdjson_of() == []


def finding(message: str, *config: str) -> Finding:
    return Finding(code="config-invalid", severity="error", message=message, config=config)


SHARD, INDEX = "model-00001-of-00001.safetensors", "model.safetensors.index.json"
# What a message says or its keys imply, and the place under models/ to which that leads.
PLACES = [
    ("a", finding("config.json: no such size"), "a/config.json", None),
    ("a", finding("generation_config.json: eos_token_id 9", "eos_token_id"), "a/generation_config.json", None),
    ("a", finding(f"models/a/{SHARD}: ends early"), f"a/{SHARD}", None),
    ("a", finding(f"1 of 2 shards that {INDEX} names are not here: {SHARD}"), f"a/{INDEX}", None),
    ("a", finding("heads do not divide", "hidden_size"), "a/config.json", 2),
    ("a", finding("nested", "text_config.head_dim"), "a/config.json", 4),
    ("a", finding("a key that is not there", "rope_theta"), "a/config.json", None),
    ("a", finding("about tensors"), f"a/{INDEX}", None),
    ("a/config.json", finding("heads do not divide", "hidden_size"), "a/config.json", 2),
    (f"a/{SHARD}", finding("short"), f"a/{SHARD}", None),
    ("b c", finding("about keys of no config", "hidden_size"), "b c/model.safetensors", None),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("reference", "found", "path", "line"), PLACES)
def test_places(reference: str, found: Finding, path: str, line: int | None) -> None:
    place = Place(path=Path("models") / path, line=line)
    assert located(verdict(f"models/{reference}", found, ok=False)) == [(found, place)]


def test_place_outside_of_the_working_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    result = verdict("../models/b c", UNEXPECTED, ok=True)
    assert located(result)[0][1] == Place(path=here / "models" / "b c" / "model.safetensors")
    location = sarif_of(result)["results"][0]["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": (here / "models").as_uri() + "/b%20c/model.safetensors"}}


def test_no_place_for_a_model_that_is_not_here() -> None:
    result = verdict("org/model@v1", SHAPE, ok=False)
    assert to_github([result]).startswith("::error title=shape-mismatch::org/model@v1: model.layers.")
    assert "physicalLocation" not in sarif_of(result)["results"][0]["locations"][0]
    assert gitlab_of(result)[0]["location"]["path"] == rdjson_of(result)[0]["location"]["path"] == "org/model@v1"
    assert gitlab_of(result)[0]["description"].startswith("org/model@v1: model.layers.")


def test_a_name_in_a_comment_of_reviewdog_is_no_link_and_no_mention() -> None:
    forged = Finding(code="unexpected-tensor", severity="warning", message="@admin [x](http://a) <img src=x>")
    assert rdjson_of(verdict("org/m", forged, ok=True))[0]["message"] == "`org/m: @admin [x](http://a) <img src=x>`"


def test_github_escapes_properties_and_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "50%,a:b").mkdir()
    (tmp_path / "50%,a:b" / "model.safetensors").touch()
    forged = Finding(code="unexpected-tensor", severity="warning", message="50%: x\r\n::error::forged, %0A")
    text = "50%25: x\\x0d\\x0a::error::forged, %250A"
    assert to_github([verdict("50%,a:b", forged, ok=True)]).splitlines() == [
        f"::warning file=50%25%2Ca%3Ab/model.safetensors,title=unexpected-tensor::{text}",
        "weightscope check: 1 model, 0 failed; 1 warning",
    ]


def test_junit_fails_with_the_worst_there_is() -> None:
    root = ET.fromstring(to_junit([verdict("m", UNEXPECTED, DTYPE, UNEXPECTED, ok=False)]))
    assert [(case.get("name"), [child.tag for child in case]) for case in root.iter("testcase")] == [
        ("unexpected-tensor", ["failure"]),
        ("dtype-mismatch", ["system-out"]),
    ]
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "2 findings, first: 1 tensor not in the architecture of config.json: extra"


@pytest.mark.usefixtures("here")
def test_fingerprints_outlive_wording_and_tell_twins_apart() -> None:
    def prints(*findings: Finding) -> list[str]:
        results = sarif_of(verdict("models/a", *findings, ok=False))["results"]
        return [result["partialFingerprints"]["weightscope/v1"] for result in results]

    one, two = (
        finding("3 tensors of model.safetensors.index.json"),
        finding("4 tensors of model.safetensors.index.json"),
    )
    assert prints(one) == prints(two)
    assert len(set(prints(one, two, SHAPE))) == 3


# Everything that a name in a hostile file can hold: controls, lone surrogates, non-characters, markup.
NAMES = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["::error::x", "\n::error::x", "]]>", "<a>&", "[a](1)", "{0}", "\ud800", "\ufffe", "\x00", "\x85", "a" * 2000]
)
FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(list(CODES)),
    severity=st.sampled_from(SEVERITIES),
    message=NAMES,
    tensors=st.lists(NAMES, max_size=3).map(tuple),
    expected=st.none()
    | st.integers()
    | NAMES
    | st.lists(NAMES, max_size=2)
    | st.dictionaries(NAMES, NAMES, max_size=2),
    actual=st.floats() | st.tuples(NAMES),
    config=st.lists(NAMES, max_size=2).map(tuple),
    hint=NAMES,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.builds(verdict, st.text(max_size=12), FINDINGS, FINDINGS, ok=st.booleans()), max_size=2))
def test_hostile_names_are_only_names(results: list[CheckResult]) -> None:
    found = sum(len(result.findings) for result in results)
    lines = to_github(results).splitlines()
    assert len(lines) == found + 1
    assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines[:-1])
    assert len(sarif_of(*results)["results"]) == len(rdjson_of(*results)) == found
    assert len({issue["fingerprint"] for issue in gitlab_of(*results)}) == found
    JUNIT.validate(to_junit(results))
    for write in CI_FORMATS.values():
        write(results).encode()
