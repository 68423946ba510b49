"""The tables of billing libraries, as these leave them, made by hand."""

import sqlalchemy as sa

from harness.gateway import connected

TABLES = {
    "dj-stripe": """
        CREATE TABLE djstripe_customer (djstripe_id INTEGER, id TEXT, livemode BOOLEAN, subscriber_id INTEGER,
            date_purged TIMESTAMP);
        INSERT INTO djstripe_customer VALUES (1, 'cus_1', false, 1, NULL), (2, 'cus_2', true, 2, NULL),
            (3, 'cus_3', false, NULL, NULL), (4, 'cus_4', false, 4, '2026-01-01 00:00:00')""",
    "pay": """
        CREATE TABLE pay_customers (id INTEGER, owner_type TEXT, owner_id INTEGER, processor TEXT, processor_id TEXT,
            "default" BOOLEAN, deleted_at TIMESTAMP);
        INSERT INTO pay_customers VALUES (1, 'User', 1, 'stripe', 'cus_1', true, NULL),
            (2, 'User', 2, 'braintree', 'x', true, NULL),
            (3, 'User', 3, 'stripe', 'cus_3', true, '2026-01-01 00:00:00'),
            (4, 'User', 4, 'stripe', NULL, true, NULL)""",
    "cashier": """
        CREATE TABLE users (id INTEGER, name TEXT, stripe_id TEXT, pm_type TEXT, pm_last_four TEXT);
        INSERT INTO users VALUES (1, 'Ada', 'cus_1', 'visa', '4242'), (2, 'Bob', NULL, NULL, NULL)""",
    "better-auth": """
        CREATE TABLE "user" (id TEXT, name TEXT, "stripeCustomerId" TEXT);
        INSERT INTO "user" VALUES ('1', 'Ada', 'cus_1'), ('2', 'Bob', NULL)""",
    "supabase": """
        CREATE TABLE {stripe}customers (id TEXT, metadata {jsonb}, livemode BOOLEAN, deleted BOOLEAN);
        INSERT INTO {stripe}customers VALUES ('cus_1', '{{"user_id": "1"}}', false, NULL),
            ('cus_2', '{{"user_id": "2"}}', false, true), ('cus_3', '{{}}', false, false),
            ('cus_4', NULL, false, false),
            ('cus_5', '{{"user_id": "5"}}', true, false)""",
}


def fill_tables(url: str, name: str) -> None:
    """Make a database as a library leaves it."""
    is_postgres = url.startswith("postgres")
    script = TABLES[name].format(stripe="stripe." if is_postgres else "", jsonb="JSONB" if is_postgres else "TEXT")
    with connected(url) as connection:
        for statement in [*(["CREATE SCHEMA stripe"] if is_postgres else []), *script.split(";")]:
            connection.execute(sa.text(statement.replace(":00", "\\:00")))
