"""The fenced blocks of the README and of the pages under `docs/`, as tests take them."""

import re
from functools import cache
from typing import NamedTuple

from harness.paths import ROOT

_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of a page.

    Attributes:
        page: the page's name, such as `sign-in`.
        language: what stands behind the fence; empty where nothing does.
        section: the heading above it, without its number signs; empty above the first.
        text: what is in it.
    """

    page: str
    language: str
    section: str
    text: str


@cache
def every_block() -> tuple[Block, ...]:
    """Return all blocks there are, in order."""
    pages = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    return tuple(block for path in pages for block in _blocks(path.stem, path.read_text()))


def blocks(page: str, language: str, section: str = "") -> list[str]:
    """Return the texts of a page's blocks in a language, of one section where it is named."""
    return [
        each.text
        for each in every_block()
        if (each.page, each.language) == (page, language) and section in {"", each.section}
    ]


def _blocks(page: str, text: str) -> list[Block]:
    found = []
    for fence in _FENCE.finditer(text):
        *_, section = ("", *re.findall(r"^## (.*)$", text[: fence.start()], re.MULTILINE))
        found.append(Block(page, fence[2], section, fence[3]))
    return found
