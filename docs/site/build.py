"""Make the site of the documentation: `make docs`, or `python docs/site/build.py [FOLDER]`.

The pages are those of `docs/`, which are read as files too. They are copied beside what is generated (`reference.py`)
and what stands at the top of the repository; links to other files of the repository become their names. Sphinx then
takes every warning for an error: a link that leads nowhere, a page that no list names.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import reference

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
TOP = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
SECTIONS = {
    "Begin": "quickstart gate-a-feature checkout access",
    "On your pages": "elements client sign-in",
    "In your back end": "python back-end outbound credits-and-usage ai-product seats",
    "Rules and reference": "rules graphql settings reference/schema reference/errors reference/commands "
    "reference/events",
    "Run it": "going-live deploy moving-in upgrading pricing operating console assistants webhooks security promises "
    "performance",
    "Develop": "offline-stripe testing examples/README simulation decisions/README",
    "The project": "CHANGELOG CONTRIBUTING SECURITY",
}
"""The pages of each part of the navigation."""


def main() -> None:
    """Build the site."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist" / "site").resolve()
    pages = target.with_name(f"{target.name}-pages")
    for folder in (target, pages):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("site", "node_modules"))
    for name in TOP:
        shutil.copy(ROOT / name, pages)
    for page in pages.rglob("*.md"):
        page.write_text(linked(page.read_text(), page, pages))
    for name, text in reference.pages().items():
        (pages / "reference").mkdir(exist_ok=True)
        (pages / "reference" / name).write_text(text)
    decisions = pages / "decisions" / "README.md"
    listed = "".join(f"{entry.stem}\n" for entry in sorted(decisions.parent.glob("0*.md")))
    decisions.write_text(decisions.read_text() + toctree(listed))
    index = (pages / "index.md").read_text()
    parts = "".join(toctree("\n".join(names.split()) + "\n", caption) for caption, names in SECTIONS.items())
    (pages / "index.md").write_text(index + parts)
    (pages / "llms.txt").write_text(llms(index))
    shutil.copy(Path(__file__).with_name("conf.py"), pages)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(target)]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own program


def linked(text: str, page: Path, pages: Path) -> str:
    """Return a page whose links to what is no part of the site are the names of files."""
    # Where the page stands in the repository.
    place = ROOT / page.name if page.parent == pages and page.name in TOP else DOCS / page.relative_to(pages)

    def link(found: re.Match[str]) -> str:
        label, path, anchor = found[1], found[2], found[3] or ""
        if "://" in path or not path:
            return found[0]
        target = (place.parent / path).resolve()
        if target.parent == ROOT and target.name in TOP:
            copy = pages / target.name
        elif target.is_relative_to(DOCS) and target.is_file():
            copy = pages / target.relative_to(DOCS)
        else:
            return label
        up = "../" * len(page.parent.relative_to(pages).parts)
        return f"[{label}]({up}{copy.relative_to(pages)}{anchor})"

    outside_code = re.split(r"(```.*?```)", text, flags=re.DOTALL)
    return "".join(
        part if part.startswith("```") else re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s#]*)(#[^)\s]*)?\)", link, part)
        for part in outside_code
    )


def toctree(entries: str, caption: str = "") -> str:
    """Return a list of pages for the navigation, which the page itself does not show."""
    return f"\n```{{toctree}}\n:hidden:\n{f':caption: {caption}' if caption else ''}\n\n{entries}```\n"


def llms(index: str) -> str:
    """Return the list of the pages for language models (llmstxt.org), each as the text that it was made of."""
    rows = re.findall(r"^\| \[([^\]]+)\]\(([\w/-]+)\.md\) \| (.+?) \|$", index, re.MULTILINE)
    listed = "".join(f"- [{title}](_sources/{name}.md.txt): {what}\n" for title, name, what in rows)
    names = "schema", "errors", "commands", "events"
    more = "".join(f"- [{name}](_sources/reference/{name}.md.txt)\n" for name in names)
    summary = "A service between web applications and Stripe: plans, checkouts, accounts, access and usage by GraphQL."
    return f"# Billing gateway\n\n> {summary}\n\n## Pages\n\n{listed}\n## Reference\n\n{more}"


if __name__ == "__main__":
    main()
