"""What the README shows is what a newcomer sees."""

import json
import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_query_in_the_readme_gives_the_answer_in_the_readme(world):
    body = re.search(r"-d '(\{\"query\":.*?\})'", README, re.DOTALL).group(1)
    answer = re.search(r"```json\n(\{\"data\".*?)\n```", README, re.DOTALL).group(1)
    shown = world.client.post(
        f"{world.url}/graphql", content=body.encode(), headers={"Content-Type": "application/json"}
    ).json()
    assert shown == json.loads(answer)


def test_the_purchase_in_the_readme_opens_a_checkout(world):
    mutation = re.search(r"```graphql\n(mutation.*?)\n```", README, re.DOTALL).group(1)
    payload = world.data(mutation.replace("http://127.0.0.1:8000", world.url))["createCheckoutSession"]
    assert payload["userErrors"] == []
    assert payload["session"]["url"].startswith(world.stripe_url)


def test_every_picture_and_document_that_the_readme_names_is_there():
    for path in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (Path(__file__).parent.parent / path).stat().st_size < 400_000


def test_every_test_that_the_threat_model_names_is_there():
    tests = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+\.py)`", (tests.parent / "docs/security.md").read_text()))
    assert len(named) > 15
    assert {name for name in named if not (tests / name).exists()} == set()
