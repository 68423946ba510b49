"""The elements' sentences: every language has each of them, and the elements ask for no other."""

import json
import re

import pytest

from gateway.web.bundle import SOURCES
from harness.sentences import missing, places, sentences

LANGUAGES = SOURCES / "languages"
ENGLISH = LANGUAGES / "en.json"
# The forms of a plural by Unicode's rules; a language has those that it needs, and "other".
FORMS = {"zero", "one", "two", "few", "many", "other"}


def without_forms(names):
    return {re.sub(r"\.(?:zero|one|two|few|many|other)$", "", name) for name in names}


@pytest.mark.parametrize("path", sorted(LANGUAGES.glob("*.json")), ids=lambda path: path.stem)
def test_a_language_has_every_sentence_with_the_same_places(path):
    english, other = sentences(ENGLISH), sentences(path)
    assert without_forms(other) == without_forms(english)
    known = {name: set() for name in without_forms(english)}
    for name, text in english.items():
        (bare,) = without_forms([name])
        known[bare] |= places(text)
    # A language may leave a place out ("chacun" needs no unit), but fills in nothing that the element does not know.
    assert {name: text for name, text in other.items() if not places(text) <= known[without_forms([name]).pop()]} == {}
    assert all(text.strip() for text in other.values())


def test_a_plural_has_a_form_for_every_other_number():
    for path in LANGUAGES.glob("*.json"):
        text = json.dumps(json.loads(path.read_text()))
        plurals = re.findall(r'\{("(?:zero|one|two|few|many|other)"[^{}]*)\}', text)
        assert plurals
        assert all('"other"' in each for each in plurals)


def test_the_elements_ask_for_no_sentence_that_there_is_not():
    assert missing(set(sentences(ENGLISH)), SOURCES.glob("*/*.js")) == (set(), set())


def test_the_elements_know_which_languages_there_are():
    listed = re.search(r"LANGUAGES = (\[.*?\]);", (SOURCES / "core" / "words.js").read_text())
    assert sorted(json.loads(listed[1])) == sorted(path.stem for path in LANGUAGES.glob("*.json"))
