"""`gateway import`: from a file, and from the tables of billing libraries, which these fixtures make by hand."""

import json
import re

import pytest
import sqlalchemy as sa

from gateway.cli.import_sources import LIBRARIES, Where, from_csv, from_library
from gateway.errors import BadInput
from harness.billing_libraries import TABLES, fill_tables
from harness.command import run
from harness.gateway import connected
from harness.pages import blocks


def filled(url, name):
    """A database as a library leaves it."""
    fill_tables(url, name)
    return Where(url, livemode=False)


@pytest.mark.parametrize("name", list(TABLES))
def test_a_library_tells_whose_customer_is_whose(tmp_path, name):
    assert from_library(LIBRARIES[name], filled(f"sqlite:///{tmp_path}/other.db", name)) == [("1", "cus_1")]


@pytest.mark.postgres
def test_supabases_schema_is_read_on_postgresql(postgres_url):
    assert from_library(LIBRARIES["supabase"], filled(postgres_url, "supabase")) == [("1", "cus_1")]


def test_users_and_teams_of_one_number_are_not_mixed_up(tmp_path):
    where = filled(url := f"sqlite:///{tmp_path}/other.db", "pay")
    with connected(url) as connection:
        connection.execute(sa.text("INSERT INTO pay_customers VALUES (5,'Team',1,'stripe','cus_9',true,NULL)"))
    with pytest.raises(BadInput, match="choose by --kind, one of Team, User"):
        from_library(LIBRARIES["pay"], where)
    assert from_library(LIBRARIES["pay"], Where(url, livemode=False, kind="Team")) == [("1", "cus_9")]


def test_the_docs_name_every_library():
    (commands,) = blocks("moving-in", "sh")
    assert re.findall(r"^gateway import ([\w-]+) .*--dry-run", commands, re.MULTILINE) == list(LIBRARIES)


def test_a_table_or_column_that_is_not_there_is_named(tmp_path):
    where = filled(url := f"sqlite:///{tmp_path}/other.db", "cashier")
    with pytest.raises(BadInput, match="has no table pay_customers"):
        from_library(LIBRARIES["pay"], where)
    with pytest.raises(BadInput, match="users has no column stripeCustomerId or stripe_customer_id; it has id, name"):
        from_library(LIBRARIES["better-auth"], Where(url, livemode=False, table="users"))
    (tmp_path / "users.csv").write_text("who,customer_id\n")
    with pytest.raises(BadInput, match="has no column external_id or user_id or user; it has customer_id, who"):
        list(from_csv(tmp_path / "users.csv"))


def test_customers_are_linked_once_and_nothing_is_taken_from_anybody(tmp_path, world):
    owners = ["", "", "", "", "", "", "user_kept", "user_of_another", "user_with_one", "user_fraud"]
    given = [{"metadata[external_id]": owner} if owner else {} for owner in owners]
    ids = [world.stripe("POST", "/v1/customers", **about)["id"] for about in given]
    world.eventually(lambda: {row["external_id"] for row in world.rows("customer")} >= {*owners[6:]})
    named = world.stripe("POST", "/v1/customers", **{"metadata[external_id]": "user_with_one"})["id"]
    world.eventually(lambda: world.rows("customer", id=named))
    done = run("customers", "unlink", "user_fraud", ids[9], cwd=tmp_path, **world.environment())
    assert done.returncode == 0, done.stdout
    outcomes = {
        ("user_a", ids[0]): "linked",
        ("user_b", ids[1]): "linked",
        ("user_kept", ids[6]): "already linked",
        ("user_c", ids[7]): "conflict",  # it is another user's
        ("user_with_one", ids[5]): "conflict",  # who has another
        ("user_m", named): "conflict",  # Stripe's metadata name who has another
        ("user_fraud", ids[9]): "conflict",  # an operator has taken it from him
        ("user_d", ids[2]): "conflict",  # the list gives him two
        ("user_d", ids[3]): "conflict",
        ("user_g", ids[4]): "conflict",  # and this one to two
        ("user_h", ids[4]): "conflict",
        ("user_e", "cus_nobody"): "not found at Stripe",
        ("user_f", "ada@example.com"): "invalid",
        ("", "cus_of_nobody"): "invalid",
    }
    file = tmp_path / "users.csv"
    lines = [f"{user}, {customer}\n" for user, customer in [*outcomes, ("user_a", ids[0])]]
    file.write_text("external_id, stripe_customer_id\n" + "".join(lines))

    def importing(*options):
        done = run("import", "users.csv", "--json", *options, cwd=tmp_path, **world.environment())
        assert done.returncode == 1, done.stdout
        rows = map(json.loads, done.stdout.splitlines())
        return {(row["external_id"], row["customer_id"]): row["outcome"] for row in rows}

    would = {pair: "would be linked" if outcome == "linked" else outcome for pair, outcome in outcomes.items()}
    assert importing("--dry-run") == would
    assert not world.rows("customer", external_id="user_a")
    assert importing() == outcomes
    for user, customer in (("user_a", ids[0]), ("user_b", ids[1])):
        assert world.rows("customer", external_id=user)[0]["id"] == customer
        assert world.stripe("GET", f"/v1/customers/{customer}")["metadata"] == {"external_id": user}
        assert world.rows("audit_entry", target=customer)[0]["by"].startswith("import ")
    assert [world.rows("customer", id=each)[0]["external_id"] for each in [*ids[2:], named]] == [
        *([None] * 4 + owners[6:9]),
        *(None, None),
    ]
    assert world.stripe("GET", f"/v1/customers/{named}")["metadata"] == {"external_id": "user_with_one"}
    file.write_text("user_id,customer_id\n[/x]\x1b[2J,cus_1\n")
    steering = run("import", "users.csv", cwd=tmp_path, **world.environment())
    assert steering.stdout == "invalid: [/x]\ufffd[2J and cus_1: this is no user's id\n1 invalid\n"
    file.write_text("".join(["user_id,customer_id\n", *(f"{user},{of}\n" for user, of in [*outcomes][:2])]))
    again = run("import", "users.csv", cwd=tmp_path, **world.environment())
    assert (again.returncode, again.stdout) == (0, "2 already linked\n")
