"""The demo shop's sentences: every language has each of them, and the pages ask for no other."""

import re
from pathlib import Path

import pytest

import gateway.web.demo
from harness.sentences import missing, places, sentences

DEMO = Path(gateway.web.demo.__file__).parent
ENGLISH = DEMO / "languages" / "en.json"
OTHERS = sorted(path.name for path in ENGLISH.parent.glob("*.json") if path != ENGLISH)


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_sentence_with_the_same_places(language):
    english, other = sentences(ENGLISH), sentences(ENGLISH.with_name(language))
    # A language may leave a place out ("chacun" needs no unit), but fills in nothing that the page does not know.
    assert set(other) == set(english)
    assert {name: text for name, text in other.items() if not places(text) <= places(english[name])} == {}
    assert all(text.strip() for text in other.values())


def test_the_pages_ask_for_no_sentence_that_there_is_not():
    pages = (*DEMO.glob("*/*.js"), *DEMO.glob("*/*.html"))
    assert missing(set(sentences(ENGLISH)), pages) == (set(), set())


def test_what_stands_in_the_html_is_the_english_sentence():
    english = sentences(ENGLISH)
    html = "\n".join(path.read_text() for path in DEMO.glob("*/*.html"))
    shown = re.findall(r'data-text="([a-z][\w.]+)"[^>]*>([^<]*)<', html)
    assert len(shown) > 8
    assert {name: text for name, text in shown if english[name] != text} == {}
