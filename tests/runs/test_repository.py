"""The state of a repository is right, and nothing that the repository names is run to learn it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_trainer.runs.repository import state_of

YESTERDAY = (1_600_000_000, 1_600_000_000)
WHO = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository around, and no settings but those of the test."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["git", *WHO, *words], cwd=folder, capture_output=True, text=True, check=check, timeout=300
    )
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """Three files, one of them in a folder and one a link; all are in the commit."""
    (folder / "below").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "below" / "b c").write_text("x")
    (folder / "link").symlink_to("a.txt")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def dirty(folder: Path) -> object:
    state = state_of(str(folder))
    assert state is not None
    assert state["commit"] == git(folder, "rev-parse", "HEAD")
    return state["dirty"]


def renew(folder: Path) -> None:
    """Write everything anew, as a copy of the repository is: other times, the same bytes."""
    (folder / "a.txt").write_text("one\ntwo\n")
    for path in (folder / "a.txt", folder / "below" / "b c"):
        os.utime(path, YESTERDAY)


def same_size(folder: Path) -> None:
    (folder / "a.txt").write_text("one\nsix\n")
    os.utime(folder / "a.txt", YESTERDAY)


def executable(folder: Path) -> None:
    (folder / "a.txt").chmod(0o755)


def removed(folder: Path) -> None:
    (folder / "below" / "b c").unlink()


def link_moved(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").symlink_to("b.txt")


def file_for_link(folder: Path) -> None:
    (folder / "link").unlink()
    (folder / "link").write_text("a.txt")


def staged(folder: Path) -> None:
    (folder / "new").write_text("")
    git(folder, "add", "new")


def intended(folder: Path) -> None:
    (folder / "new").write_text("")
    git(folder, "add", "-N", "new")


CHANGES = (same_size, executable, removed, link_moved, file_for_link, staged, intended)


def untracked(folder: Path) -> None:
    (folder / "new").write_text("")


def assumed_unchanged(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "a.txt")
    (folder / "a.txt").write_text("")


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = repository(tmp_path / "here")
    change(folder)
    assert git(folder, "status", "--porcelain", "--untracked-files=no")
    assert dirty(folder) is True
    assert dirty(folder / "below") is True


@pytest.mark.parametrize("change", [nothing, renew, untracked, assumed_unchanged])
def test_what_git_calls_clean_is_clean(tmp_path: Path, change: Callable[[Path], None]) -> None:
    folder = repository(tmp_path / "here")
    change(folder)
    assert dirty(folder) is False
    assert dirty(folder / "below") is False
    assert not git(folder, "status", "--porcelain", "--untracked-files=no")


def test_a_change_in_the_moment_of_the_commit_is_told(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    moment = (folder / ".git" / "index").stat().st_mtime_ns
    os.utime(folder / "a.txt", ns=(moment, moment))
    git(folder, "update-index", "--refresh")
    (folder / "a.txt").write_text("one\nsix\n")
    os.utime(folder / "a.txt", ns=(moment, moment))
    os.utime(folder / ".git" / "index", ns=(moment, moment))
    assert dirty(folder) is True


def test_ends_of_lines_that_git_converts_are_no_change(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    (folder / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (folder / "a.txt").unlink()
    git(folder, "add", ".gitattributes")
    git(folder, "checkout", "-q", "a.txt")
    git(folder, "commit", "-q", "-m", "ends")
    assert b"\r\n" in (folder / "a.txt").read_bytes()
    assert dirty(folder) is False
    os.utime(folder / "a.txt", YESTERDAY)
    assert dirty(folder) is False


def test_no_commit_and_no_repository_are_null(tmp_path: Path) -> None:
    assert state_of(str(tmp_path)) is None
    git(tmp_path, "init", "-q")
    assert state_of(str(tmp_path)) is None


def test_a_working_tree_beside_another_has_its_own_state(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    git(folder, "worktree", "add", "-q", "--detach", str(tmp_path / "there"))
    assert dirty(tmp_path / "there") is False
    same_size(folder)
    assert dirty(tmp_path / "there") is False
    same_size(tmp_path / "there")
    assert dirty(tmp_path / "there") is True


def test_sums_of_another_kind_are_understood(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    git(folder, "init", "-q", "--object-format=sha256")
    (folder / "a.txt").write_text("one\ntwo\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    os.utime(folder / "a.txt", YESTERDAY)
    assert dirty(folder) is False
    same_size(folder)
    assert dirty(folder) is True


def with_submodule(folder: Path) -> Path:
    """A repository, and the folder of a submodule in it."""
    other = repository(folder / "other")
    here = repository(folder / "here")
    git(here, "submodule", "--quiet", "add", str(other), "sub")
    git(here, "commit", "-q", "-m", "sub")
    return here / "sub"


def test_a_change_in_a_submodule_is_told(tmp_path: Path) -> None:
    sub = with_submodule(tmp_path)
    assert dirty(sub.parent) is False
    same_size(sub)
    assert dirty(sub.parent) is True
    git(sub, "commit", "-q", "-a", "-m", "second")
    assert dirty(sub.parent) is True


def test_a_submodule_that_was_never_fetched_is_no_change(tmp_path: Path) -> None:
    here = with_submodule(tmp_path).parent
    git(here, "submodule", "--quiet", "deinit", "--force", "sub")
    assert dirty(here) is False


# What a repository can name that git would run.


def in_config(folder: Path, *pairs: tuple[str, str]) -> None:
    for key, value in pairs:
        git(folder, "config", key, value)


def filtered(folder: Path, attributes: str = ".gitattributes") -> None:
    """Every file has the filter x, and a.txt has to be looked at."""
    (folder / attributes).write_text("* filter=x diff=x\n")
    if attributes == ".gitattributes":
        git(folder, "add", attributes)
        git(folder, "commit", "-q", "-m", "attributes")
    os.utime(folder / "a.txt", YESTERDAY)


def clean_filter(folder: Path, program: str) -> None:
    filtered(folder)
    in_config(folder, ("filter.x.clean", program))


def process_filter(folder: Path, program: str) -> None:
    filtered(folder)
    in_config(folder, ("filter.x.process", program))


def included(folder: Path, program: str) -> None:
    filtered(folder)
    (folder / "more").write_text(f'[filter "x"]\n\tclean = "{program}"\n')
    in_config(folder, ("include.path", "../more"))


def of_the_working_tree(folder: Path, program: str) -> None:
    filtered(folder)
    in_config(folder, ("extensions.worktreeConfig", "true"))
    git(folder, "config", "--worktree", "filter.x.clean", program)


def attributes_of_the_repository(folder: Path, program: str) -> None:
    (folder / ".git" / "info").mkdir(exist_ok=True)
    filtered(folder, ".git/info/attributes")
    in_config(folder, ("filter.x.clean", program))


def in_a_submodule(folder: Path, program: str) -> None:
    other = repository(folder.parent / "other")
    git(folder, "submodule", "--quiet", "add", str(other), "sub")
    git(folder, "commit", "-q", "-m", "sub")
    filtered(folder / "sub")
    git(folder, "commit", "-q", "-a", "-m", "sub")
    in_config(folder / "sub", ("filter.x.clean", program))


def written_later(folder: Path, program: str) -> None:
    """The index is older than what it knows, so that git trusts none of it."""
    filtered(folder)
    git(folder, "update-index", "--refresh")
    os.utime(folder / ".git" / "index", YESTERDAY)
    in_config(folder, ("filter.x.clean", program))


def monitor(folder: Path, program: str) -> None:
    in_config(folder, ("core.fsmonitor", program))
    os.utime(folder / "a.txt", YESTERDAY)


def index_hook(folder: Path, program: str) -> None:
    hook = folder / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{program}\n")
    hook.chmod(0o755)
    os.utime(folder / "a.txt", YESTERDAY)


FILTERS = (
    *(clean_filter, process_filter, included, of_the_working_tree, attributes_of_the_repository),
    *(in_a_submodule, written_later, monitor, index_hook),
)


@pytest.mark.processes
@pytest.mark.parametrize("hostile", FILTERS)
def test_fault_54_nothing_that_git_status_would_run_is_run(
    tmp_path: Path, hostile: Callable[[Path, str], None]
) -> None:
    marker = tmp_path / "ran"
    folder = repository(tmp_path / "here")
    hostile(folder, f"touch '{marker}'")
    marker.unlink(missing_ok=True)
    assert dirty(folder) in (False, None)
    assert not marker.exists()
    same_size(folder)
    assert dirty(folder) in (True, None)
    assert not marker.exists()
    # That it could have been: the same look by git itself.
    git(folder, "status", "--porcelain", "--untracked-files=no", check=False)
    assert marker.exists()


def test_a_filtered_file_of_another_time_is_neither_clean_nor_changed(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    in_config(folder, ("filter.x.clean", "tr a-z b-za"), ("filter.x.smudge", "tr b-za a-z"))
    (folder / ".gitattributes").write_text("*.txt filter=x\n")
    git(folder, "add", "--renormalize", ".")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "-q", "-m", "filtered")
    assert git(folder, "show", "HEAD:a.txt") != (folder / "a.txt").read_text().strip()
    os.utime(folder / "a.txt", YESTERDAY)
    assert dirty(folder) is None
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    assert dirty(folder) is True


def test_fault_54_no_program_for_differences_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    program = f"touch '{marker}'; cat"
    folder = repository(tmp_path / "here")
    (folder / ".gitattributes").write_text("* diff=x\n")
    git(folder, "add", ".gitattributes")
    git(folder, "commit", "-q", "-m", "attributes")
    keys = ("diff.external", "diff.x.command", "diff.x.textconv", "core.pager", "pager.diff-index")
    aliases = ("alias.rev-parse", "alias.ls-files", "alias.diff-index", "alias.config")
    in_config(folder, *((key, program) for key in keys))
    in_config(folder, *((key, f"!{program}") for key in aliases))
    (folder / "a.txt").write_text("1")
    git(folder, "add", "a.txt")
    marker.unlink(missing_ok=True)
    assert dirty(folder) is True
    assert not marker.exists()
    git(folder, "diff", "--cached", check=False)
    assert marker.exists()


REMOTES = {
    "ext": "ext::{program} %S",
    "uploadpack": "{folder}",
    "ssh": "ssh://nowhere.invalid/x",
    "proxy": "git://nowhere.invalid/x",
    "credential": "http://127.0.0.1:1/x",
    "vcs": "x",
}


@pytest.mark.processes
@pytest.mark.parametrize("kind", REMOTES)
def test_fault_54_what_is_missing_in_a_partial_clone_is_not_fetched(
    tmp_path: Path, kind: str
) -> None:
    marker = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{marker}'\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "git-remote-x").symlink_to(program)
    folder = repository(tmp_path / "here")
    in_config(
        folder,
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", REMOTES[kind].format(program=program, folder=folder)),
        ("remote.origin.uploadpack", str(program)),
        *((f"protocol.{name}.allow", "always") for name in ("ext", "file", "ssh", "git", "x")),
        ("core.sshCommand", str(program)),
        ("core.gitProxy", str(program)),
        ("credential.helper", f"!{program}"),
        *([("remote.origin.vcs", "x")] if kind == "vcs" else []),
    )
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        assert dirty(folder) is None
        assert not marker.exists()
        if kind != "credential":
            # That it could have been; a credential is asked for by a server alone.
            git(folder, "diff-index", "--cached", "HEAD", check=False)
            assert marker.exists()


@pytest.mark.parametrize("entry", ["", "."])
def test_fault_54_no_git_of_the_current_directory_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    folder = repository(tmp_path / "here")
    (folder / "git").write_text(f"#!/bin/sh\ntouch '{tmp_path / 'ran'}'\n")
    (folder / "git").chmod(0o755)
    monkeypatch.chdir(folder)
    commit = git(folder, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", f"{entry}{os.pathsep}{os.environ['PATH']}")
    assert state_of() == {"commit": commit, "dirty": False}
    assert not (tmp_path / "ran").exists()


def test_files_that_block_or_lie_outside_are_not_waited_for(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    assert dirty(folder) is True


def test_a_tree_that_lies_elsewhere_is_unknown(tmp_path: Path) -> None:
    folder = repository(tmp_path / "here")
    (tmp_path / "elsewhere").mkdir()
    in_config(folder, ("core.worktree", str(tmp_path / "elsewhere")))
    assert dirty(folder) is not False
