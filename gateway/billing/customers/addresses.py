"""What an e-mail address looks like."""

import re

from gateway.auth.principal import MAX_EMAIL
from gateway.billing.user_errors import Problem, ProblemCode

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")


def bad_email(email: str | None, field: str) -> Problem | None:
    """Return that a text is no e-mail address; None where it is one, or there is none.

    Args:
        email: the text.
        field: where it stands in the input.
    """
    if email is None or (len(email) <= MAX_EMAIL and _EMAIL.fullmatch(email)):
        return None
    return Problem(ProblemCode.EMAIL_INVALID, "this is no e-mail address such as ada@example.com", field)
