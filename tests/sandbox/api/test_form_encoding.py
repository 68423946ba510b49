"""Form encoding: whatever the SDK encodes is decoded to the same thing, and nonsense never breaks anything."""

import json
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stripe._encode import _api_encode

from gateway.sandbox.api.form_encoding import parse_form

names = st.text("abcdefghij_", min_size=1, max_size=6)
texts = st.text(min_size=1, max_size=10)
trees = st.dictionaries(
    names,
    st.recursive(
        texts,
        lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(trees)
def test_what_the_sdk_encodes_is_decoded_to_the_same_thing(tree):
    assert parse_form(urlencode(list(_api_encode(tree)))) == tree


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": [{"b": "1", "c": "2"}, {"b": "3"}]}),
        ("a[2]=x&a[0]=y&a[10]=z", {"a": ["y", "x", "z"]}),
        ("a[b=1&[c]=2", {"a[b": "1", "[c]": "2"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a=", {"a": ""}),
        ("a=%F0%9F%8D%B0+b", {"a": "🍰 b"}),
    ],
)
def test_every_way_of_writing_brackets_is_read(form, tree):
    assert parse_form(form) == tree


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.binary(max_size=60) | trees.map(lambda tree: urlencode(list(_api_encode(tree))).encode()))
def test_no_body_whatever_breaks_the_sandbox(sandbox_server, body):
    headers = {"Authorization": "Bearer sk_test_1", "Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/v1/customers", "/v1/prices"):
        answer = httpx.post(sandbox_server.url + path, content=body, headers=headers)
        assert answer.status_code in (200, 400), answer.text
        json.loads(answer.content)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a" + b"[b]" * 5000 + b"=1", "application/x-www-form-urlencoded"),
        (b"[" * 100_000, "application/json"),
        (b"[1]", "application/json"),
        (b"null", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"expand=x&expand[a]=y", "application/x-www-form-urlencoded"),
    ],
)
def test_a_hostile_body_is_refused(sandbox_server, body, kind):
    headers = {"Authorization": "Bearer sk_test_1", "Content-Type": kind}
    answer = httpx.post(sandbox_server.url + "/v1/customers", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
