"""Where a version comes from, as its tags say."""

import shutil
import subprocess

import pytest

from tickloom.forecast import lineage
from tickloom.settings import settings


@pytest.fixture
def told(monkeypatch):
    """Have the environment name a commit, or none."""

    def tell(commit):
        monkeypatch.setenv("TICKLOOM_COMMIT", commit) if commit else monkeypatch.delenv("TICKLOOM_COMMIT", False)
        settings.cache_clear()

    yield tell
    settings.cache_clear()


def git(folder, *words):
    given = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *given, "-C", str(folder), *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A package in a repository of its own."""
    package = tmp_path / "repository" / "tickloom"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-qm", "one")
    lineage._checked_out.cache_clear()
    yield package
    lineage._checked_out.cache_clear()


def test_the_environment_names_the_commit(told):
    told("0123abc")
    assert lineage.commit() == "0123abc"


def test_a_checkout_names_its_own_commit_and_says_where_it_was_changed(checkout):
    head = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert lineage._checked_out(checkout) == head
    (checkout / "__init__.py").write_text("changed = True\n")
    lineage._checked_out.cache_clear()
    assert lineage._checked_out(checkout) == f"{head}-dirty"


def test_code_below_another_checkout_or_in_none_is_of_an_unknown_commit(checkout, tmp_path):
    installed = checkout.parent / "lib" / "tickloom"
    shutil.copytree(checkout, installed)
    assert lineage._checked_out(installed) == "unknown"
    assert lineage._checked_out(tmp_path / "nowhere") == "unknown"


def test_without_git_the_commit_is_unknown(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert lineage._checked_out(checkout) == "unknown"


def test_what_is_unknown_is_left_out():
    tags = {lineage.APPROVER: "", lineage.CODE: "1.0", "model": "ridge"}
    assert lineage.told(tags) == {"code": "1.0"}
