"""Counted features through the public surface: consumed, held and shown, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from harness.databases import both_databases
from harness.gateway import SERVICE
from harness.subscriptions import customer, price_id, settled, subscribe

COUNT = "count { limit used held remaining resetsAt overage } userErrors { code field }"
CONSUME = f"mutation($input: ConsumeInput!) {{ consume(input: $input) {{ {COUNT} }} }}"
HOLD = f"""mutation($input: HoldInput!) {{ hold(input: $input) {{
    hold {{ id feature amount actual status expiresAt createdAt }} {COUNT} }} }}"""
COMMIT = f"mutation($input: CommitHoldInput!) {{ commitHold(input: $input) {{ hold {{ status actual }} {COUNT} }} }}"
RELEASE = f"mutation($input: ReleaseHoldInput!) {{ releaseHold(input: $input) {{ hold {{ status }} {COUNT} }} }}"
CONTROLS = """mutation($input: SetUsageControlsInput!) { setUsageControls(input: $input) {
    controls { alertThresholds spendCap { amount currency } } userErrors { code field } } }"""
ACCESS = """{ viewer { access(feature: "tokens") { allowed reason limit used remaining resetsAt overage }
    accessTo(features: ["tokens", "projects"]) { access { used } } } }"""


def sold(world, lookup_key: str = "starter_monthly", **meta: str) -> None:
    """Let the product of a plan of the sample catalogue have a counted feature."""
    product = world.stripe("GET", f"/v1/prices/{price_id(world, lookup_key)}")["product"]
    metadata = {"features": "projects, tokens", "limit_tokens": "100", "use_tokens": "counter", **meta}
    world.stripe("POST", f"/v1/products/{product}", **{f"metadata[{key}]": text for key, text in metadata.items()})
    world.eventually(lambda: "use_tokens" in str(world.rows("product", id=product)[0]["meta"]))


def ask(world, document: str, **wanted):
    (answer,) = world.data(document, {"input": wanted}, SERVICE).values()
    return answer


def consume(world, amount: int, key: str, **more):
    return ask(
        world, CONSUME, **{"externalId": "ada", "feature": "tokens", "amount": amount, "idempotencyKey": key, **more}
    )


def codes(answer) -> list[tuple[str, str]]:
    return [(error["code"], error["field"]) for error in answer["userErrors"]]


@pytest.fixture
def bought(world):
    """Ada's subscription to a plan with 100 tokens a month."""
    sold(world)
    return subscribe(world, customer(world, "ada"))


@both_databases
def test_what_is_used_and_held_is_shown_and_never_more_than_the_limit(world, bought):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda place: consume(world, 3, f"k{place % 40}"), range(80)))
    refused = [answer for answer in answers if answer["userErrors"]]
    assert {code for answer in refused for code in codes(answer)} == {("LIMIT_REACHED", "amount")}
    assert consume(world, 2, "last")["userErrors"] == [{"code": "LIMIT_REACHED", "field": "amount"}]
    counted = consume(world, 1, "last")["count"]
    ends = bought["items"]["data"][0]["current_period_end"]
    assert datetime.fromisoformat(counted.pop("resetsAt")).timestamp() == ends
    assert counted == {"limit": 100, "used": 100, "held": 0, "remaining": 0, "overage": False}

    seen = world.data(ACCESS, headers=world.token("ada"))["viewer"]
    assert seen["accessTo"] == [{"access": {"used": 100}}, {"access": {"used": None}}]
    assert datetime.fromisoformat(seen["access"].pop("resetsAt")).timestamp() == ends
    assert (seen["access"]["allowed"], seen["access"]["reason"]) == (False, "LIMIT_REACHED")
    assert {name: seen["access"][name] for name in ("limit", "used", "remaining", "overage")} == {
        name: counted[name] for name in ("limit", "used", "remaining", "overage")
    }
    for path in ("access/ada/tokens", "access/ada/tokens"):
        answer = world.client.get(f"{world.url}/{path}", headers=SERVICE)
        assert (answer.status_code, answer.json()["reason"], answer.json()["used"]) == (403, "LIMIT_REACHED", 100)
    features = world.client.get(f"{world.url}/access/ada", headers=SERVICE).json()["features"]
    assert (features["tokens"]["remaining"], features["projects"]["remaining"]) == (0, None)
    flag = world.client.post(
        f"{world.url}/ofrep/v1/evaluate/flags/tokens", json={"context": {"targetingKey": "ada"}}, headers=SERVICE
    ).json()
    assert (flag["value"], flag["metadata"]["used"], flag["metadata"]["remaining"]) == (False, 100, 0)


@both_databases
def test_work_whose_cost_is_not_known_yet_is_held_and_committed(world, bought):
    wanted = {"externalId": "ada", "feature": "tokens", "amount": 60, "idempotencyKey": "job", "seconds": 600}
    held = ask(world, HOLD, **wanted)
    assert held == ask(world, HOLD, **wanted)
    assert (held["hold"]["status"], held["count"]["held"], held["count"]["remaining"]) == ("OPEN", 60, 40)
    assert codes(consume(world, 41, "k")) == [("LIMIT_REACHED", "amount")]
    assert world.client.get(f"{world.url}/access/ada/tokens", headers=SERVICE).json()["remaining"] == 40
    done = ask(world, COMMIT, holdId=held["hold"]["id"], actual=25)
    assert done == ask(world, COMMIT, holdId=held["hold"]["id"], actual=25)
    assert done["hold"] == {"status": "COMMITTED", "actual": 25}
    assert (done["count"]["used"], done["count"]["held"]) == (25, 0)
    assert codes(ask(world, RELEASE, holdId=held["hold"]["id"])) == [("HOLD_ENDED", "holdId")]
    for document in (RELEASE, COMMIT):
        more = {"actual": 1} if document == COMMIT else {}
        assert codes(ask(world, document, holdId="hold_nobodys", **more)) == [("HOLD_NOT_FOUND", "holdId")]

    other = ask(world, HOLD, **{**wanted, "idempotencyKey": "other"})["hold"]["id"]
    late = ask(world, HOLD, **{**wanted, "idempotencyKey": "late", "amount": 10})["hold"]["id"]
    world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
    settled(world, bought["id"])
    (invoice,) = world.rows("invoice", subscription_id=bought["id"])
    (payment,) = world.stripe("GET", "/v1/invoice_payments", invoice=invoice["id"])["data"]
    world.stripe("POST", "/v1/refunds", payment_intent=payment["payment"]["payment_intent"])
    world.eventually(lambda: world.client.get(f"{world.url}/access/ada/tokens", headers=SERVICE).status_code, 403)
    assert codes(consume(world, 1, "k")) == [("FEATURE_NOT_ALLOWED", "feature")]
    assert codes(ask(world, HOLD, **{**wanted, "idempotencyKey": "new"})) == [("FEATURE_NOT_ALLOWED", "feature")]
    assert codes(ask(world, COMMIT, holdId=other, actual=61)) == [("FEATURE_NOT_ALLOWED", "actual")]
    assert ask(world, COMMIT, holdId=other, actual=60) == {
        "hold": {"status": "COMMITTED", "actual": 60}, "count": None, "userErrors": [],
    }  # fmt: skip
    assert ask(world, RELEASE, holdId=late)["hold"] == {"status": "RELEASED"}


WRONG = {
    "nothing": ({"amount": 0}, ("AMOUNT_INVALID", "amount")),
    "less": ({"amount": -1}, ("AMOUNT_INVALID", "amount")),
    "as much as can be": ({"amount": 2**53 - 1}, ("LIMIT_REACHED", "amount")),
    "no key": ({"idempotencyKey": ""}, ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")),
    "a long key": ({"idempotencyKey": "x" * 256}, ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")),
    "nobody": ({"externalId": "bob"}, ("FEATURE_NOT_ALLOWED", "feature")),
    "not counted": ({"feature": "projects"}, ("FEATURE_NOT_COUNTED", "feature")),
    "not sold": ({"feature": "tea"}, ("FEATURE_NOT_ALLOWED", "feature")),
    "no time": ({"seconds": 0}, ("DURATION_INVALID", "seconds")),
    "too long": ({"seconds": 86_401}, ("DURATION_INVALID", "seconds")),
}


def test_what_cannot_be_is_told(world, bought):
    for name, (wrong, expected) in WRONG.items():
        wanted = {"externalId": "ada", "feature": "tokens", "amount": 1, "idempotencyKey": name, **wrong}
        assert codes(ask(world, HOLD, **wanted)) == [expected], name
        if "seconds" not in wrong:
            assert codes(ask(world, CONSUME, **wanted)) == [expected], name
    held = ask(world, HOLD, externalId="ada", feature="tokens", amount=1, idempotencyKey="h")["hold"]["id"]
    assert codes(ask(world, COMMIT, holdId=held, actual=-1)) == [("AMOUNT_INVALID", "actual")]
    use = {"externalId": "ada", "feature": "tokens", "amount": 1, "idempotencyKey": "mine"}
    for document, given in (
        *((document, use) for document in (CONSUME, HOLD)),
        *((COMMIT, {"holdId": held, "actual": 1}), (RELEASE, {"holdId": held})),
        (CONTROLS, {"externalId": "ada", "idempotencyKey": "c"}),
    ):
        answer = world.graphql(document, {"input": given}, world.token("ada")).json()
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    wanted = {"externalId": "ada", "alertThresholds": [90, 50, 90], "spendCap": 2_000, "currency": "USD"}
    for _ in range(2):
        assert ask(world, CONTROLS, **wanted, idempotencyKey="c") == {
            "controls": {"alertThresholds": [50, 90], "spendCap": {"amount": 2_000, "currency": "USD"}},
            "userErrors": [],
        }
    (entry,) = world.rows("audit_entry", action="usage.control")
    assert entry["status"] == "done"


def test_what_was_consumed_by_mistake_is_taken_back(world, bought):
    document = """mutation($input: ConsumeInput!) { consume(input: $input) { identifier } }"""
    wanted = {"externalId": "ada", "feature": "tokens", "amount": 100, "idempotencyKey": "k"}
    identifier = ask(world, document, **wanted)["identifier"]
    assert codes(consume(world, 1, "l")) == [("LIMIT_REACHED", "amount")]
    adjust = "mutation($input: AdjustUsageInput!) { adjustUsage(input: $input) { userErrors { code field } } }"
    for value in (60, 60):
        assert ask(world, adjust, identifier=identifier, value=value) == {"userErrors": []}
    assert consume(world, 40, "l")["count"]["used"] == 100
    assert {row["status"] for row in world.rows("usage_record")} == {"counted"}
