"""`--output`: whole or not at all, with the permissions that were there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from weightscope.errors import UsageError
from weightscope.output.write import put, write_file

ROOT = Path(__file__).parents[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o664, 0o400])
def test_a_file_that_is_replaced_keeps_its_permissions(permissions: int, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("before")
    target.chmod(permissions)
    put("after", target)
    assert (target.read_text(), mode(target)) == ("after", permissions)


def test_a_private_file_is_never_open_to_others_while_it_is_written(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch(mode=0o600)

    def write(file: BinaryIO) -> None:
        (temporary,) = set(tmp_path.iterdir()) - {target}
        assert mode(temporary) == 0o600

    write_file(target, write)


@pytest.mark.parametrize(("umask", "permissions"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_those_that_the_user_wants(umask: int, permissions: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        put("text", tmp_path / "out")
    finally:
        os.umask(before)
    assert mode(tmp_path / "out") == permissions


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays_the_owner(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.touch(mode=0o640)
    os.chown(target, 12345, 23456)
    put("text", target)
    assert (target.stat().st_uid, target.stat().st_gid, mode(target)) == (12345, 23456, 0o640)


def test_another_group_gets_no_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    target = tmp_path / "out"
    target.touch()
    target.chmod(0o664)
    real = os.stat_result((stat.S_IFREG | 0o664, 0, 0, 1, 98765, 98765, 0, 0, 0, 0))
    monkeypatch.setattr("weightscope.output.write._state", lambda _: real)
    monkeypatch.setattr(os, "chown", refuse)
    put("text", target)
    assert mode(target) == 0o604


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("before")
    (tmp_path / "out").symlink_to("precious")
    put("after", tmp_path / "out")
    assert (tmp_path / "precious").read_text() == "before"
    assert (tmp_path / "out").read_text() == "after"
    assert not (tmp_path / "out").is_symlink()


def test_what_cannot_be_finished_leaves_what_was_there(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "out").write_text("before")
    with pytest.raises(UsageError, match="cannot be written \\(No space left on device\\)"):
        write_file(tmp_path / "out", fail)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_the_longest_name_will_do(tmp_path: Path) -> None:
    put("text", tmp_path / ("x" * 255))
    assert (tmp_path / ("x" * 255)).read_text() == "text"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
@pytest.mark.parametrize("piped", [True, False])
def test_standard_output_by_its_name(piped: bool, tmp_path: Path) -> None:
    """It may lead to a plain file, which is written, and the link, /dev/stdout to most, stays."""
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    code = "from pathlib import Path\nfrom weightscope.output.write import put\nput('text', Path('stdout'))"
    with (tmp_path / "out").open("w") as out:
        run = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE if piped else out,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
        )
    assert (run.stdout if piped else (tmp_path / "out").read_text()) == "text"
    assert (tmp_path / "stdout").is_symlink()
