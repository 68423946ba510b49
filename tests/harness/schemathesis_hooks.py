"""What schemathesis must know of GraphQL here: a refusal is an answer, a failure of ours is none."""

import schemathesis

ANSWERS = {
    "BAD_USER_INPUT",
    "FORBIDDEN",
    "NOT_FOUND",
    "QUERY_TOO_COMPLEX",
    "UNAUTHENTICATED",
    "GRAPHQL_VALIDATION_FAILED",
}


@schemathesis.check
def refusals_are_typed(_context, response, _case):
    """Every error has a code that a client may switch on, and none of them says that the gateway failed."""
    body = response.json()
    codes = {error.get("extensions", {}).get("code") for error in body.get("errors", [])}
    assert response.status_code == 200, response.status_code
    assert body.keys() <= {"data", "errors"}, body
    assert codes <= ANSWERS, codes - ANSWERS
