"""Files of sentences: one for each language, by names that have parts."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def sentences(path: Path) -> dict[str, str]:
    """The sentences of a language by their names; the forms of a plural are sentences of their own."""

    def walk(value: Any, name: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            yield name, value
        else:
            for key, each in value.items():
                yield from walk(each, f"{name}.{key}" if name else key)

    return dict(walk(json.loads(path.read_text()), ""))


def places(sentence: str) -> set[str]:
    """What a sentence has places for."""
    return set(re.findall(r"\{(\w+)\}", sentence))


def missing(names: set[str], sources: Iterable[Path]) -> tuple[set[str], set[str]]:
    """What sources ask for by names, or by the beginnings of names, that there is not; the first must be many."""
    known = names | {name.rpartition(".")[0] for name in names}
    text = "\n".join(path.read_text() for path in sources)
    whole = set(
        re.findall(r'(?:\btext\(|data-text=|data-label=|(?:message|once|toPlans)\([^()]*, )"([a-z][\w.]+)"', text)
    )
    begun = set(re.findall(r"\btext\(`([a-z]\w+(?:\.\w+)*\.)\$\{", text))
    assert len(whole) > 10
    return {name for name in whole if name not in known and f"{name}.title" not in names}, {
        prefix for prefix in begun if not any(name.startswith(prefix) for name in names)
    }
