"""The whole action as a runner goes through it: weightscope is installed as it says, and checks and compares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.action.job import BASH, GIT, ROOT, Job
from tests.action.server import serving
from tests.packaging.conftest import require_index

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BASH and GIT), reason="the steps need bash and git"),
]


def test_every_step(tmp_path: Path) -> None:
    with serving() as (github, address):
        job = Job(tmp_path, address)
        shutil.rmtree(job.temporary / "weightscope")
        shutil.copytree(ROOT / "fixtures" / "llama", job.origin / "llama")
        job.branch()
        config = job.origin / "llama" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 4}))
        # Whatever a pull request puts beside its models, no step imports it.
        for name in ("pip", "venv", "weightscope", "json", "typer"):
            job.write(f"{name}.py", "raise SystemExit('imported from the checkout')")
        job.check_out("--depth=1")

        installing = job.step("Install weightscope", "llama")
        require_index(installing)
        checked = job.step("Check", "llama", **{"fail-on": "error"})
        assert checked.returncode == 1
        assert checked.stdout.startswith("::error file=llama/config.json,line=1,title=missing-tensor::")
        assert job.page.read_text().startswith("# weightscope check\n\n## llama\n\n**failed** · ")
        # A failed check keeps nobody from being told what changed.
        job.comment("llama")
        assert "config.json: num_hidden_layers is 3 in A and 4 in B" in github.comments[0]["body"]
