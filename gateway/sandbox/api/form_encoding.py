"""Stripe's wire format for parameters: form encoding with brackets (`items[0][price]=…`)."""

from __future__ import annotations

import base64
import re
from email.parser import BytesParser
from email.policy import HTTP
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

_DEEPEST = 20
_SEGMENT = re.compile(r"\[([^\[\]]*)\]")


def parse_form(text: str) -> dict[str, Any]:
    """Decode a query string or form body into nested dicts and lists of strings.

    `a[b]=1` is a dict, `a[0]=1` and `a[]=1` are lists. A key whose brackets do not close, or are
    deeper than any parameter of Stripe's, is taken literally.
    """
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        _plant(tree, _path(key), value)
    return {key: _lists(value) for key, value in tree.items()}


def _path(key: str) -> list[str]:
    head, bracket, rest = key.partition("[")
    segments = _SEGMENT.findall(bracket + rest)
    readable = "".join(f"[{segment}]" for segment in segments) == bracket + rest
    if not bracket or not head or not readable or len(segments) > _DEEPEST:
        return [key]
    return [head, *segments]


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for here, below in pairwise(path):
        name = here or str(len(tree))
        child = tree.get(name)
        # `a[][b]=1&a[][c]=2` fills one element until a name repeats, as Rack (Stripe's parser) does.
        if here == "" and below != "" and tree:
            last = tree.get(str(len(tree) - 1))
            if isinstance(last, dict) and below not in last:
                child = last
        if not isinstance(child, dict):
            child = tree[name] = {}
        tree = child
    tree[path[-1] or str(len(tree))] = value


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


def parse_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    """Decode an upload (`multipart/form-data`): fields as `parse_form` does, of a file `filename` and `content`.

    The content is in base64, so that the parameters of a request are JSON whatever it brings.
    """
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    tree: dict[str, Any] = {}
    for part in message.iter_parts():
        name, filename = part.get_param("name", header="content-disposition"), part.get_filename()
        content = bytes(part.get_payload(decode=True) or b"")
        upload = {"filename": filename, "content": base64.b64encode(content).decode()}
        value = content.decode("utf-8", "replace") if filename is None else upload
        _plant(tree, _path(str(name)), value)
    return {key: value if key == "file" else _lists(value) for key, value in tree.items()}
