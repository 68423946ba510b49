"""Who can be called a user, and whom the back end may act for."""

import pytest

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal, is_subject
from gateway.errors import BadInput, Forbidden

USER = Principal(subject="user_1")


@pytest.mark.parametrize("name", ["user_1", "auth0|ada", "Ада Лавлейс", "a b", "🜚", "x" * 200, "0"])
def test_a_subject_is_a_text_that_can_be_seen(name):
    assert is_subject(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "\t", "\u00a0", "\u2003 \u3000", "\u200b", "\ufeff", "x" * 201, "a\0b", "a\nb", "a\x7f"),
        *("\ud800", "a\udfff", "\ud83d"),
        *(None, 7, b"user_1", ["user_1"]),
    ],
)
def test_what_is_blank_broken_too_long_or_no_text_is_none(name):
    assert not is_subject(name)


def test_the_back_end_acts_for_the_user_that_it_names():
    assert SERVICE.acting_as("user_1", "ada@example.com") == Principal(
        subject="user_1", email="ada@example.com", is_service=True
    )


@pytest.mark.parametrize("caller", [ANONYMOUS, USER, SERVICE])
def test_who_names_nobody_acts_alone(caller):
    assert caller.acting_as(None) is caller


@pytest.mark.parametrize("caller", [ANONYMOUS, USER])
def test_nobody_else_names_a_user(caller):
    with pytest.raises(Forbidden, match="leave `externalId` out"):
        caller.acting_as("user_2")


@pytest.mark.parametrize("name", ["", " ", "\ud800", "x" * 201])
def test_the_back_end_names_only_who_can_be_a_user(name):
    with pytest.raises(BadInput, match="1 to 200 characters"):
        SERVICE.acting_as(name)
