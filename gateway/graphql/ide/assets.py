"""Fetch GraphiQL's own files from npm: `python -m gateway.graphql.ide.assets`.

Other people's minified code is not kept in the repository. It comes from three published packages, through the
machine's own npm and its configuration, and is used only if each package has the SHA-512 that is pinned here. graphiql
4.1.2 is the last release with a bundle for a `<script>` element.

Only the standard library is used, and nothing of the gateway: the build hook (`hatch_build.py`) runs this file where
neither is installed.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"

_TIMEOUT_SECONDS = 180


class Package(NamedTuple):
    """A release of an npm package and the files of it that the page needs.

    Attributes:
        name: the package's name at npm.
        version: the exact release.
        sha512: of the package's tarball, in base64 as in a package lock's `integrity`.
        files: paths inside the package.
    """

    name: str
    version: str
    sha512: str
    files: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The directory below `STATIC`. The release is part of the URL, so that browsers may keep the files forever."""
        return f"{self.name}-{self.version}"

    @property
    def installed(self) -> list[Path]:
        """The files as the page loads them."""
        return [STATIC / self.folder / Path(file).name for file in self.files]


PACKAGES = (
    Package(
        "react",
        "18.3.1",
        "wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
        ("umd/react.production.min.js", "LICENSE"),
    ),
    Package(
        "react-dom",
        "18.3.1",
        "5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
        ("umd/react-dom.production.min.js", "LICENSE"),
    ),
    Package(
        "graphiql",
        "4.1.2",
        "rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
        ("graphiql.min.js", "graphiql.min.css", "LICENSE"),
    ),
)


class AssetsUnavailable(Exception):
    """npm is missing or could not fetch the packages. The message is one line that says how to get them."""


class AssetsForged(Exception):
    """npm delivered a package with another hash than the pinned one. Nothing of it was kept."""


def is_complete() -> bool:
    """Return whether every file that the page needs is there."""
    return all(path.is_file() for package in PACKAGES for path in package.installed)


def install() -> bool:
    """Fetch the files unless they are there.

    Returns:
        True if something had to be fetched.

    Raises:
        AssetsUnavailable: npm is missing or failed.
        AssetsForged: a package's hash is not the pinned one.
    """
    if is_complete():
        return False
    with tempfile.TemporaryDirectory() as name:
        downloads = Path(name)
        _npm_pack(downloads)
        for package in PACKAGES:
            _unpack(package, downloads / f"{package.folder}.tgz")
    return True


def _npm_pack(folder: Path) -> None:
    """Let npm download the tarballs; none of their code is run."""
    npm = shutil.which("npm")
    if npm is None:
        raise AssetsUnavailable(
            "GraphiQL needs npm once to fetch its files: install Node.js with npm, "
            "then run `python -m gateway.graphql.ide.assets`. Everything else works without."
        )
    names = [f"{package.name}@{package.version}" for package in PACKAGES]
    options = [
        "--ignore-scripts",
        "--prefer-offline",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
        "--loglevel=error",
    ]
    try:
        subprocess.run(  # noqa: S603 - npm itself, with constant arguments
            [npm, "pack", *names, *options, f"--pack-destination={folder}"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.startswith("npm error")]
        reason = lines[0] if lines else f"exit status {error.returncode}"
        raise AssetsUnavailable(_failed(reason)) from error
    except subprocess.TimeoutExpired as error:
        raise AssetsUnavailable(_failed(f"no answer in {_TIMEOUT_SECONDS} seconds")) from error


def _failed(reason: str) -> str:
    return (
        f"npm could not fetch GraphiQL's files ({reason}). Once npm reaches its registry, "
        "run `python -m gateway.graphql.ide.assets`. Everything else works without."
    )


def _unpack(package: Package, tarball: Path) -> None:
    """Check a tarball, and copy the few files out of it that are needed."""
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise AssetsForged(
            f"npm delivered a {package.name}@{package.version} that is not the published one "
            f"(SHA-512 {digest}); nothing was installed. Check the registry that npm is set to."
        )
    import tarfile  # only this command unpacks anything; the gateway only asks which files are there

    with tarfile.open(tarball) as archive:
        for file, target in zip(package.files, package.installed, strict=True):
            member = archive.extractfile(f"package/{file}")
            if member is None:
                raise AssetsForged(f"{package.name}@{package.version} has no regular file {file}")
            _write(target, member.read())


def _write(target: Path, content: bytes) -> None:
    """Write a file atomically: no other process sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(target)


def main() -> int:
    """Install the files and say so in one line; the exit status is 1 if that is not possible."""
    try:
        fetched = install()
    except (AssetsUnavailable, AssetsForged) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    if fetched:
        print(f"GraphiQL's files are in {STATIC}")  # noqa: T201 - a command's output
    return 0


if __name__ == "__main__":
    sys.exit(main())
