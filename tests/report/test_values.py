"""What --values, --forward and a second model add to the page."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import weightscope
from tests.report.pages import ROOT, Page, run_report, told
from weightscope.api.reporting import contents_of


@pytest.fixture(scope="module")
def whole() -> Page:
    result = run_report("fixtures/llama", "--values", "--forward", "--tokens", "1,2,3")
    assert result.returncode == 0, result.stderr
    return Page(result.stdout)


def test_values_are_those_of_stats(whole: Page) -> None:
    roles = told("stats", "fixtures/llama")["roles"]
    assert len(roles) == 12
    for role in roles:
        assert f"{role['figures']['absmax']:.4g}" in whole.text


def test_stages_are_those_of_forward(whole: Page) -> None:
    stages = told("forward", "fixtures/llama", "--tokens", "1,2,3")["stages"]
    for stage in stages:
        assert stage["stage"] in whole.text
        assert f"{stage['rms']:.4g}" in whole.text
    assert "Valuesok" in whole.text
    assert "Forward passok" in whole.text


def test_the_verdict_of_a_pass_says_what_did_not_run(run: Any) -> None:
    code, out, _ = run("report", "fixtures/llava", "--forward", "--tokens", "1,2,3")
    assert code == 0
    assert "Forward passok; not run: vision, projector" in Page(out).text


def test_each_component_has_its_profile_and_each_role_its_histogram(whole: Page) -> None:
    labels = [attributes.get("aria-label", "") for tag, attributes in whole.tags if tag == "svg"]
    for role in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
        assert any(role in label for label in labels)


def test_a_profile_shows_its_own_component_alone() -> None:
    """LLaVA's eye and language model both have a q_proj."""
    page = Page(run_report("fixtures/llava", "--values").stdout)
    profiles = page.text.split("RMS by layer: ")
    vision = next(text for text in profiles if text.startswith("vision"))
    assert "vision q_proj" in vision
    assert "attention q_proj" not in vision


def test_the_heatmap_is_the_matrix(tmp_path: Path) -> None:
    """A matrix of one row of ones: the first row of pixels is viridis' last colour, all others its first."""
    matrix = np.zeros((4, 3), np.float32)
    matrix[0] = 1
    save_file({"a.weight": matrix}, tmp_path / "model.safetensors")
    page = Page(run_report(str(tmp_path / "model.safetensors"), "--heatmap", "a.weight").stdout)
    image = next(attributes["href"] for tag, attributes in page.tags if tag == "image")
    png = base64.b64decode(image.removeprefix("data:image/png;base64,"))
    assert struct.unpack(">II", png[16:24]) == (3, 4)
    start = png.index(b"IDAT") + 4
    size = struct.unpack(">I", png[start - 8 : start - 4])[0]
    rows = zlib.decompress(png[start : start + size])
    assert rows == b"\0" + bytes((253, 231, 37)) * 3 + (b"\0" + bytes((68, 1, 84)) * 3) * 3


def test_a_heatmap_is_of_a_matrix() -> None:
    result = run_report("fixtures/llama", "--heatmap", "final_norm")
    assert result.returncode == 2
    assert "model.norm.weight is no matrix" in result.stderr


def test_what_values_show_fails_the_verdict(tmp_path: Path) -> None:
    tensors = load_file(ROOT / "fixtures" / "mini" / "model.safetensors")
    name = max(tensors, key=lambda each: tensors[each].size)
    broken = {key: np.array(value) for key, value in tensors.items()}
    broken[name].flat[0] = np.nan
    for file in (ROOT / "fixtures" / "mini").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_file(broken, tmp_path / "model.safetensors")
    quick, full = (Page(run_report(str(tmp_path), *more).stdout) for more in ((), ("--values",)))
    assert "non-finite" not in quick.text
    assert full.text.count("non-finite") == 1
    assert ("strong", {"class": "verdict failed"}) in full.tags


def test_a_pass_that_cannot_run_says_why_and_the_page_is_written(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    code, _, error = run("report", "fixtures/llama/config.json", "--forward", "-o", file)
    assert code == 2
    text = Page(file.read_text(encoding="utf-8")).text
    reason = error.removeprefix("weightscope: ").strip()
    assert "Forward passcannot run: see Forward pass" in text
    assert f"Cannot run: {reason}" in text
    assert text.count(reason) == 1
    assert "incomplete Checked 0 tensors" in text


@pytest.mark.parametrize(("asked", "what"), [("--forward", "Logits"), ("--values", "Values")])
def test_what_cannot_be_compared_says_why_and_the_page_is_written(
    asked: str, what: str, run: Any, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    code, _, error = run("report", "fixtures/llama", "fixtures/llama/config.json", asked, "-o", file)
    assert code == 2
    page = Page(file.read_text(encoding="utf-8"))
    assert f"{what} were not compared: {error.removeprefix('weightscope: ').strip()}" in page.text
    assert ("strong", {"class": "verdict incomplete"}) in page.tags


def test_values_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def skim(*_: object) -> None:
        raise AssertionError("what stats reads is read again")

    monkeypatch.setattr("weightscope.analyses.rules.values.unsound_values", skim)
    monkeypatch.setattr("weightscope.analyses.rules.values.odd_values", skim)
    contents = contents_of(weightscope.open(ROOT / "fixtures" / "llama"), values=True)
    assert contents.ok
    assert contents.checked.checked.rules == told("check", "fixtures/llama", "--values")["checked"]["rules"]


def test_two_models_have_the_verdict_of_diff_first() -> None:
    result = run_report("fixtures/llama", "fixtures/llama-1", "--values")
    assert result.returncode == 0, result.stderr
    page = Page(result.stdout)
    diff = told("diff", "fixtures/llama", "fixtures/llama-1", "--values")
    assert page.text.index(diff["verdict"]["text"]) < page.text.index("Overview")
    for finding in diff["findings"]:
        assert finding["message"] in page.text
    for value in diff["values"]:
        assert value["address"] in page.text


def test_the_treemap_of_two_models_marks_what_differs(tmp_path: Path) -> None:
    source = ROOT / "fixtures" / "llava"
    tensors = load_file(source / "model.safetensors")
    changed = "language_model.model.layers.2.mlp.up_proj.weight"
    tensors[changed] = tensors[changed] * np.float16(2)
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    save_file(tensors, tmp_path / "model.safetensors")
    data = Page(run_report(str(source), str(tmp_path), "--values").stdout).data
    marked = [each for each in data["sets"] if each["findings"]]
    assert [data["kinds"][each["kind"]]["template"] for each in marked] == [changed.replace("2", "{}")]
    ((place, layers),) = marked[0]["findings"]
    assert data["findings"][place]["code"] == "different"
    assert layers == [[2, 2]]


def test_other_logits_fail_the_verdict_on_two_models(run: Any, tmp_path: Path) -> None:
    tensors = load_file(ROOT / "fixtures" / "llava" / "model.safetensors")
    (tmp_path / "config.json").write_bytes((ROOT / "fixtures" / "llava" / "config.json").read_bytes())
    louder = {name: value * np.float16(2 if "up_proj" in name else 1) for name, value in tensors.items()}
    save_file(louder, tmp_path / "model.safetensors")
    code, out, error = run("report", "fixtures/llava", tmp_path, "--forward", "--tokens", "1,2,3")
    assert (code, error) == (0, "")
    page = Page(out)
    assert "logits differ by up to" in page.text
    assert ("strong", {"class": "verdict failed"}) in page.tags


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fixtures/llama", "fixtures/gpt2", "--heatmap", "q_proj"), "--heatmap cannot be used with two models"),
        (("fixtures/llama", "--tokens", "1", "--prompt", "a"), "--tokens and --prompt are mutually exclusive"),
        (("fixtures/llama", "--heatmap", "no_such"), "no tensor 'no_such'"),
        (("fixtures/no-such",), "no-such"),
    ],
)
def test_requests_that_make_no_sense(arguments: tuple[str, ...], said: str) -> None:
    result = run_report(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stdout == ""
