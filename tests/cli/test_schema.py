"""`gateway schema`."""

import pytest

from harness.command import run
from harness.paths import ROOT


def test_the_schema_is_printed_as_the_checkout_holds_it_and_breaking_changes_are_listed(tmp_path):
    printed = run("schema", cwd=tmp_path)
    assert printed.stdout == (ROOT / "schema.graphql").read_text()
    (tmp_path / "schema.graphql").write_text(printed.stdout.replace("pricing(", "prices("))
    checked = run("schema", "--check", cwd=tmp_path)
    assert checked.returncode == 1
    assert "prices" in checked.stdout


def test_without_the_file_one_line_says_how_it_is_written(tmp_path):
    for make in (lambda: None, (tmp_path / "schema.graphql").mkdir):
        make()
        checked = run("schema", "--check", cwd=tmp_path)
        assert checked.returncode == 1
        assert checked.stdout.startswith("schema.graphql cannot be read in this folder (")
        assert "`gateway schema > schema.graphql` writes it" in checked.stdout
        assert len(checked.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [("type {", "Syntax Error: "), ("type Query { a: [red] }", "Unknown type 'red'."), ("", "Syntax ")],
)
def test_a_file_that_is_no_schema_is_one_line(tmp_path, text, reason):
    (tmp_path / "schema.graphql").write_text(text)
    checked = run("schema", "--check", cwd=tmp_path)
    assert checked.returncode == 1
    assert checked.stdout.startswith(f"schema.graphql is no schema ({reason}")
    assert len(checked.stdout.splitlines()) == 1
