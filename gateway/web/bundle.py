"""Put the modules below `src/` together: one file that a page loads with one tag, and needs no build for.

The modules stand one after the other in the order in which they need each other, without `import`, `export`, comments
and indentation. So no two of them may have the same name for something at their top. The few forms of `import` and
`export` that there are stand below; a test holds them. Decision 0031 has the reasons.
"""

import gzip
import re
from base64 import b64encode
from functools import cached_property
from hashlib import sha384
from pathlib import Path

SOURCES = Path(__file__).parent / "src"

_IMPORT = re.compile(r'^import (?:\{[^}]*\} from )?"([^"]+)";\n', re.MULTILINE)
_RE_EXPORT = re.compile(r'^export \{([^}]*)\} from "([^"]+)";\n', re.MULTILINE)
_TOP = re.compile(r"^(export )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)
_COMMENT = re.compile(r"^\s*(?://.*|/\*\*(?:(?!\*/).|\n)*\*/)\n|/\*\* @type .*?\*/ ?|(?<=[;,{}()]) //.*$", re.MULTILINE)
_GOES_ON = re.compile(r"(?<=[,({\[])\n")
_SPACE_OF_CSS = re.compile(r"\s*([{};])\s*|(?<=[:,]) ")


class Bundle:
    """A module with all that it needs.

    Args:
        entry: such as `elements.js`.
        sources: where it is.
    """

    def __init__(self, entry: str, sources: Path = SOURCES) -> None:
        self._entry = (sources / entry).resolve()

    @cached_property
    def text(self) -> bytes:
        """The file."""
        modules: dict[Path, str] = {}
        self._add(self._entry, modules, ())
        _check_names(modules)
        names = ", ".join(_exports(self._entry.read_text()))
        return ("".join(map(_stripped, modules)) + f"export {{ {names} }};\n").encode()

    @cached_property
    def compressed(self) -> bytes:
        """The file as most browsers take it."""
        return gzip.compress(self.text, mtime=0)

    @cached_property
    def integrity(self) -> str:
        """The hash by which a page can refuse another file."""
        return f"sha384-{b64encode(sha384(self.text).digest()).decode()}"

    def _add(self, path: Path, modules: dict[Path, str], above: tuple[Path, ...]) -> None:
        """Add a module after those that it needs.

        Raises:
            ValueError: it needs itself.
        """
        if path in above:
            raise ValueError(f"{path.name} needs itself, by way of {above[-1].name}")
        source = path.read_text()
        for name in (*_IMPORT.findall(source), *(name for _, name in _RE_EXPORT.findall(source))):
            below = (path.parent / name).resolve()
            if below not in modules:
                self._add(below, modules, (*above, path))
        modules[path] = source


def _check_names(modules: dict[Path, str]) -> None:
    """Refuse a name that two modules have.

    Raises:
        ValueError: it says which, and where.
    """
    places: dict[str, Path] = {}
    for path, source in modules.items():
        for _, name in _TOP.findall(source):
            if places.setdefault(name, path) != path:
                raise ValueError(f"{path.name} and {places[name].name} both have a `{name}`: rename one")


def _stripped(path: Path) -> str:
    """Return a module without what only its readers and its neighbours need."""
    source = _RE_EXPORT.sub("", _IMPORT.sub("", _COMMENT.sub("", path.read_text())))
    bare = _TOP.sub(lambda match: match.group().removeprefix("export "), source)
    lines = "".join(f"{line.strip()}\n" for line in bare.splitlines() if line.strip())
    return _SPACE_OF_CSS.sub(r"\1", lines) if path.name == "style.js" else _GOES_ON.sub("", lines)


def _exports(source: str) -> list[str]:
    again = [name.strip() for names, _ in _RE_EXPORT.findall(source) for name in names.split(",") if name.strip()]
    return [name for export, name in _TOP.findall(source) if export] + again
