"""What the tables are asked for all the time is found by an index."""

import base64
import re

import sqlalchemy as sa

from harness.gateway import make_world


def test_what_is_looked_for_each_second_is_found_by_an_index_however_many_events_there_are(sqlite_url):
    asked, url = {}, f"http://127.0.0.1:9 whsec_{base64.b64encode(bytes(24)).decode()}"
    tables = re.compile("FROM (event|usage_record|outbox_delivery) ")

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if found := tables.search(statement.replace("\n", " ")):
            asked[found[1]] = statement, parameters

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        with make_world(sqlite_url, fill=False, outbound_endpoints=url) as world:
            world.eventually(lambda: len(asked), 3)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    engine = sa.create_engine(sqlite_url)
    with engine.connect() as connection:
        for table, (statement, parameters) in asked.items():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert any(re.search("USING (COVERING )?INDEX", step.detail) for step in plan), (table, plan)
            assert not any(re.search(rf"SCAN {table}(?! USING)", step.detail) for step in plan), (table, plan)
    engine.dispose()
