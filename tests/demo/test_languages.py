"""The demo shop's sentences: every language has each of them, and the pages ask for no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway.demo

DEMO = Path(gateway.demo.__file__).parent
ENGLISH = DEMO / "languages" / "en.json"
OTHERS = sorted(path.name for path in ENGLISH.parent.glob("*.json") if path != ENGLISH)


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
    return set(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_sentence_with_the_same_places(language):
    english, other = sentences(ENGLISH), sentences(ENGLISH.with_name(language))
    # A language may leave a place out ("chacun" needs no unit), but fills in nothing that the page does not know.
    assert set(other) == set(english)
    assert {name: text for name, text in other.items() if not places(text) <= places(english[name])} == {}
    assert all(text.strip() for text in other.values())


def test_the_pages_ask_for_no_sentence_that_there_is_not():
    names = set(sentences(ENGLISH))
    known = names | {name.rpartition(".")[0] for name in names}
    pages = "\n".join(path.read_text() for path in (*DEMO.glob("*/*.js"), *DEMO.glob("*/*.html")))
    whole = set(re.findall(r'(?:\btext\(|data-text=|data-label=|\bonce\([^()]*, )"([a-z][\w.]+)"', pages))
    begun = set(re.findall(r"`([a-z]\w+(?:\.\w+)*\.)\$\{", pages)) - {"data."}
    assert len(whole) > 100
    assert {name for name in whole if name not in known} == set()
    assert {prefix for prefix in begun if not any(name.startswith(prefix) for name in names)} == set()


def test_what_stands_in_the_html_is_the_english_sentence():
    english = sentences(ENGLISH)
    html = "\n".join(path.read_text() for path in DEMO.glob("*/*.html"))
    shown = re.findall(r'data-text="([a-z][\w.]+)"[^>]*>([^<]*)<', html)
    assert len(shown) > 8
    assert {name: text for name, text in shown if english[name] != text} == {}
