"""What buyers read: every code in every language, and the nearest language of a tag."""

import json
from importlib.resources import files

import pytest

from gateway.billing import sentences
from gateway.billing.sentences import LANGUAGES, sentence_of, tax_wording
from gateway.billing.user_errors import ProblemCode

CODES = {code.name for code in ProblemCode}
ENGLISH = [sentence_of(code, "en") for code in ProblemCode]


def test_every_language_that_is_offered_has_a_file_and_no_other():
    there = {path.name for path in files(sentences).iterdir() if path.name.endswith(".json")}
    assert there == {f"{language}.json" for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_code_lacks_a_sentence_and_no_sentence_is_a_copy_of_the_english_one(language):
    texts = json.loads(files(sentences).joinpath(f"{language}.json").read_text(encoding="utf-8"))
    assert set(texts["errors"]) == CODES
    found = [sentence_of(code, language) for code in ProblemCode]
    assert all(text.strip() == text and text.endswith((".", "。")) and len(text) <= 200 for text in found)
    assert language == "en" or not set(found) & set(ENGLISH)
    assert not any(word in text for text in found for word in ("`", "Stripe", "userErrors"))
    assert {tax_wording("inclusive", language), tax_wording("exclusive", language)} == set(texts["taxes"].values())
    assert len(set(texts["taxes"].values())) == 2


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *(("de", "de"), ("de-CH", "de"), ("DE_at_1996", "de"), ("pt-BR", "pt"), ("ja-JP-u-ca-japanese", "ja")),
        *(("en-GB", "en"), ("sv", "en"), ("", "en"), ("../de", "en"), ("d" * 10_000, "en"), ("\0", "en")),
    ],
)
def test_the_nearest_language_is_taken_and_at_last_english(tag, expected):
    assert sentence_of(ProblemCode.PAYMENT_FAILED, tag) == sentence_of(ProblemCode.PAYMENT_FAILED, expected)


def test_where_tax_is_not_specified_nothing_is_said_of_it():
    assert [tax_wording(behavior, "fr") for behavior in ("inclusive", "exclusive")] == ["TTC", "HT"]
    assert tax_wording("inclusive", "sv") == tax_wording("inclusive", "en")
    assert tax_wording("unspecified", "fr") is tax_wording(None, "de") is None
