"""The steps of the action that say in a pull request what it changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.action.job import BASH, GIT, ROOT, STEPS, Job, git
from tests.action.server import GitHub, serving

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 4096\n"
CONFIG = json.loads((ROOT / "fixtures" / "llama" / "config.json").read_text())

pytestmark = pytest.mark.skipif(not (BASH and GIT), reason="the steps need bash and git")


@pytest.fixture
def github() -> Iterator[tuple[GitHub, str]]:
    with serving() as served:
        yield served


@pytest.fixture
def job(tmp_path: Path, github: tuple[GitHub, str]) -> Job:
    return Job(tmp_path, github[1])


@pytest.fixture
def hub(github: tuple[GitHub, str]) -> GitHub:
    return github[0]


def deeper(job: Job) -> None:
    """A pull request that gives a model two layers more and leaves another alone."""
    job.write("models/llama/config.json", CONFIG)
    job.write("models/other/config.json", CONFIG)
    job.branch()
    job.write("models/llama/config.json", CONFIG | {"num_hidden_layers": 5})


COMMENT = """\
# Checkpoints

## `models/llama/config.json`

Changed: `config.json`

the 30 weights of both have the same shapes; 18 weights added; config.json differs in num_hidden_layers

- **A**: llama · config · 30 weights · 28,296 parameters
- **B**: llama · config · 48 weights · 38,952 parameters


- **error** `different`: config.json: num_hidden_layers is 3 in A and 5 in B
- **error** `different`: 18 weights in B alone: layers.{3–4}.norm.input_norm, layers.{3–4}.attention.q_proj, \
layers.{3–4}.attention.k_proj and 6 more kinds

Compared 30 weights by role: shapes, dtypes and config. --values compares the numbers.

## Parameters by component

| Component | A | B | Change |
| --- | ---: | ---: | ---: |
| embedding | 6,144 | 6,144 |  |
| attention | 4,608 | 7,680 | +3,072 |
| mlp | 11,232 | 18,720 | +7,488 |
| norm | 168 | 264 | +96 |
| head | 6,144 | 6,144 |  |
| total | 28,296 | 38,952 | +10,656 |"""


@pytest.mark.parametrize("options", [("--depth=1",), ()], ids=["a shallow clone", "all history"])
def test_a_comment_says_what_changes(job: Job, hub: GitHub, options: tuple[str, ...]) -> None:
    deeper(job)
    job.check_out(*options)
    assert job.comment("models/llama/config.json\nmodels/other/config.json\norg/name\n../elsewhere") == ("", "")
    (comment,) = hub.comments
    mark, _, text = comment["body"].partition("\n")
    assert re.fullmatch(r"<!-- weightscope [0-9a-f]{12} -->", mark)
    assert text == COMMENT
    assert f"```text\n{COMMENT}\n```" in (ROOT / "docs" / "ci.md").read_text()
    assert hub.tokens == {"Bearer secret"}
    assert not job.page.exists()
    # The clone is as it was: no other worktree, and all the history that it had.
    assert len(git(job.checkout, "worktree", "list").splitlines()) == 1
    assert (job.checkout / ".git" / "shallow").exists() is bool(options)
    assert sorted(path.name for path in job.temporary.iterdir()) == ["weightscope", "weightscope-comment.md"]


def test_one_comment_for_the_same_models(job: Job, hub: GitHub) -> None:
    deeper(job)
    job.check_out()
    hub.comments = []
    for number in range(105):
        hub.add(f"comment {number}", "User")
    job.comment("models/llama/config.json")
    assert [method for method, _ in hub.asked] == ["GET", "GET", "POST"]
    hub.asked.clear()
    job.comment("models/llama/config.json")
    assert [method for method, _ in hub.asked] == ["GET", "GET"]
    job.write("models/llama/config.json", CONFIG | {"num_hidden_layers": 4})
    job.check_out()
    job.comment("models/llama/config.json")
    assert hub.asked[-1] == ("PATCH", "/repos/owner/models/issues/comments/106")
    assert "num_hidden_layers is 3 in A and 4 in B" in hub.comments[105]["body"]
    job.write("models/llama/config.json", CONFIG)
    job.check_out()
    job.comment("models/llama/config.json")
    assert hub.comments[105]["body"].endswith("This pull request no longer changes the weights or the config.")
    # Another step for other models has a comment of its own.
    assert len(hub.comments) == 106


def test_nothing_is_said_of_nothing(job: Job, hub: GitHub) -> None:
    deeper(job)
    job.check_out()
    assert job.comment("models/other/config.json") == ("", "")
    assert [method for method, _ in hub.asked] == ["GET"]


@pytest.mark.parametrize(
    ("kind", "association", "ours"),
    [("User", "NONE", False), ("User", "CONTRIBUTOR", False), ("User", "COLLABORATOR", True), ("Bot", "NONE", True)],
)
def test_the_mark_in_a_comment_of_somebody_else_counts_for_nothing(
    job: Job, hub: GitHub, kind: str, association: str, ours: bool
) -> None:
    deeper(job)
    job.check_out()
    job.comment("models/llama/config.json")
    forged = {"body": hub.comments[0]["body"] + " forged", "user": {"type": kind}, "author_association": association}
    hub.comments = [{"id": 1, **forged}]
    job.comment("models/llama/config.json")
    assert hub.comments[0]["body"].endswith("forged") is not ours
    assert len(hub.comments) == (1 if ours else 2)


def test_a_token_that_may_not_comment(job: Job, hub: GitHub) -> None:
    """As that of a pull request from a fork."""
    deeper(job)
    job.check_out()
    job.page.write_text("from before\n")
    hub.refused = 403
    _, printed = job.comment("models/llama/config.json")
    assert printed == (
        "::notice title=weightscope::no comment was written (HTTP 403); the page of the job has the comparison\n"
    )
    reason = "This stands here because no comment could be written (HTTP 403)."
    assert job.page.read_text() == f"from before\n{COMMENT}\n\n{reason}\n"


def test_a_server_that_is_not_there(job: Job) -> None:
    deeper(job)
    job.check_out()
    job.api = "http://127.0.0.1:9"
    _, printed = job.comment("models/llama/config.json")
    assert "no comment was written (URLError)" in printed
    assert COMMENT in job.page.read_text()


def test_a_redirect_does_not_get_the_token(job: Job, hub: GitHub, tmp_path: Path) -> None:
    deeper(job)
    job.check_out()
    hub.elsewhere = job.api
    asked = hub.tokens
    _, printed = job.comment("models/llama/config.json")
    assert "no comment was written" in printed
    assert asked == {"Bearer secret", ""}


def test_new_and_removed_models(job: Job, hub: GitHub) -> None:
    job.write("models/old/config.json", CONFIG)
    job.branch()
    shutil.rmtree(job.origin / "models/old")
    job.write("models/new/config.json", CONFIG)
    job.check_out("--depth=1")
    job.comment("models/old\nmodels/new")
    body = hub.comments[0]["body"]
    assert "## `models/old`\n\nRemoved.\n\n## `models/new`\n\nNew.\n\n" in body
    assert "| total | 30 | 28,296 |" in body


def weights(job: Job, name: str, layers: int, oid: str) -> None:
    job.write(f"{name}/config.json", CONFIG | {"num_hidden_layers": layers})
    job.write(f"{name}/model.safetensors", POINTER.format(oid * 64))


def test_pointers_of_git_lfs_leave_the_configs(job: Job, hub: GitHub) -> None:
    weights(job, "models/a", 3, "a")
    weights(job, "models/b", 3, "a")
    job.branch()
    weights(job, "models/a", 5, "b")
    job.write("models/b/model.safetensors", POINTER.format("b" * 64))
    job.check_out("--depth=1")
    printed, _ = job.comment("models/a\nmodels/b")
    assert "a Git LFS pointer, not the weights" in printed
    first, second = hub.comments[0]["body"].split("\n## `models/b`\n")
    said = "Only the configs were compared: the weights of one side could not be read. The log of the job says why."
    changed = f"Changed: `config.json`, `model.safetensors`\n\n{said}"
    assert f"## `models/a`\n\n{changed}\n\nthe 30 weights of both have the same shapes; 18 weights added" in first
    assert second.startswith(f"\nChanged: `model.safetensors`\n\n{said}")


def test_a_checkout_of_the_base_is_compared_by_value(job: Job, hub: GitHub) -> None:
    job.branch()
    job.check_out()
    for side in ("before/llama", "llama"):
        shutil.copytree(ROOT / "fixtures" / "llama", job.checkout / side)
    job.comment("llama", before="before", values="true")
    assert hub.comments == []
    shutil.rmtree(job.checkout / "llama")
    shutil.copytree(ROOT / "fixtures" / "llama-1", job.checkout / "llama")
    job.comment("llama", before="before", values="true")
    assert "same weights, rounded (BF16 and F16)" in hub.comments[0]["body"]
    assert "| `q_proj` | 3 | 0 |" in hub.comments[0]["body"]


@pytest.mark.parametrize("before", ["", "before"])
def test_changed_files_are_named(job: Job, hub: GitHub, before: str) -> None:
    job.write("m/config.json", CONFIG)
    for number in range(12):
        job.write(f"m/old/{number:02}.txt", "a")
    job.branch()
    job.check_out()
    git(job.checkout, "worktree", "add", "-q", "-f", "before", job.base)
    job.write("m/`@a`\n\u202e.txt", "new")
    for number in range(11):
        (job.origin / f"m/old/{number:02}.txt").unlink()
    job.commit()
    git(job.checkout, "pull", "-q", "origin", "pull")
    job.comment("m", before=before)
    changed = next(line for line in hub.comments[0]["body"].splitlines() if line.startswith("Changed: "))
    assert changed.endswith(" and 2 more")
    assert "`'@a'\\n\\u202e.txt`" in changed
    assert "`old/00.txt`" in changed


def test_names_from_files_are_only_names(job: Job, hub: GitHub) -> None:
    forged = "@admin <img src=x> http://a\n::error::x"
    (job.origin / "a").mkdir()
    save_file({"w": np.zeros(3, "f4")}, job.origin / "a" / "model.safetensors")
    job.branch()
    save_file({"w": np.zeros(3, "f4"), forged: np.zeros(3, "f4")}, job.origin / "a" / "model.safetensors")
    job.check_out()
    job.comment("a")
    body = hub.comments[0]["body"]
    assert "`1 weight in B alone: @admin <img src=x> http://a\\x0a::error::x`" in body
    assert "<img" not in re.sub(r"`[^`]*`", "", body)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("push", "::notice title=weightscope::not a pull request, so nothing was compared\n"),
        ("before", "::warning title=weightscope::input before is no directory, so nothing was compared\n"),
        (
            "commit",
            "::warning title=weightscope::nothing was compared, the base of the pull request could not be had: ",
        ),
    ],
)
def test_why_nothing_is_compared(job: Job, hub: GitHub, case: str, said: str) -> None:
    deeper(job)
    job.check_out("--depth=1")
    job.base = {"push": "", "commit": "0" * 40}.get(case, job.base)
    inputs = {"before": "nowhere"} if case == "before" else {}
    printed, more = job.comment("models/llama/config.json", **inputs)
    assert printed.startswith(said)
    assert len(printed.splitlines()) == 1
    assert (more, hub.asked) == ("", [])


def test_comment_is_true_or_false(job: Job) -> None:
    deeper(job)
    job.check_out()
    run = job.step("Compare", "models/llama/config.json", comment="maybe")
    assert (run.returncode, run.stdout, run.stderr) == (2, "", "comment is true or false\n")


def test_a_long_comparison_is_cut(job: Job, hub: GitHub) -> None:
    deeper(job)
    job.check_out()
    file = job.temporary / "weightscope-comment.md"
    file.write_text("a line\n" * 20_000)
    assert re.search(r'"\$MODEL" "\$RUNNER_TEMP/weightscope-comment.md"', STEPS["Comment"]["run"])
    environment = {
        "GITHUB_API_URL": job.api, "GITHUB_REPOSITORY": "owner/models", "GITHUB_TOKEN": "secret",
        "GITHUB_EVENT_PATH": str(job.directory / "event.json"),
    }  # fmt: skip
    (job.directory / "event.json").write_text('{"pull_request": {"number": 7}}')
    script = [sys.executable, "-I", str(ROOT / "action" / "comment.py"), "m", str(file)]
    subprocess.run(script, env=environment, check=True)
    body = hub.comments[0]["body"]
    assert 59_000 < len(body) < 65_536
    assert body.endswith("a line\n\nCut here: GitHub takes no longer comment.")
