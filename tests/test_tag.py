"""`.ci/tag`: a commit that names a version in the changelog gets the tag that the package's version is read from."""

import subprocess

from harness.paths import ROOT


def test_the_commit_that_names_a_version_is_tagged_once_and_no_other(tmp_path):
    remote, copy = tmp_path / "remote.git", tmp_path / "copy"

    def git(*words):
        identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
        told = subprocess.run(["git", *identity, *words], cwd=copy, check=True, capture_output=True, text=True)
        return told.stdout.split()

    def tags_after(changelog):
        (copy / "CHANGELOG.md").write_text(changelog)
        git("add", ".")
        git("commit", "--allow-empty", "--message", "Change")
        subprocess.run([ROOT / ".ci/tag", "origin"], cwd=copy, check=True, capture_output=True)
        return git("ls-remote", "--tags", "origin")[1::2]

    copy.mkdir()
    git("init", "--bare", str(remote))
    git("init")
    git("remote", "add", "origin", str(remote))
    assert tags_after("## [Unreleased]\n") == []
    first = "## [Unreleased]\n\n## 0.2.0 - 2026-12-01\n"
    assert tags_after(first) == ["refs/tags/v0.2.0"]
    tagged = git("rev-parse", "HEAD")
    subprocess.run([ROOT / ".ci/tag", "origin"], cwd=copy, check=True)  # it is there already
    assert tags_after(first) == ["refs/tags/v0.2.0"]
    assert git("rev-parse", "v0.2.0") == tagged
    second = first.replace("## 0.2.0", "## 0.2.1\n\n## 0.2.0")
    assert tags_after(second) == ["refs/tags/v0.2.0", "refs/tags/v0.2.1"]
    git("checkout", "-b", "release")
    (copy / "CHANGELOG.md").write_text(second.replace("## 0.2.1", "## 0.3.0\n\n## 0.2.1"))
    git("commit", "--all", "--message", "Release 0.3.0")
    git("checkout", "-")
    git("merge", "--no-ff", "release")  # a forge's button: the merge names the version as its branch does
    subprocess.run([ROOT / ".ci/tag", "origin"], cwd=copy, check=True, capture_output=True)
    assert git("ls-remote", "--tags", "origin")[1::2][-1] == "refs/tags/v0.3.0"
