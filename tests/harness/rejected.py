"""What a use case says that the caller can fix."""

from collections.abc import Awaitable

import pytest

from gateway.billing.user_errors import Rejected


async def codes(call: Awaitable[object]) -> list[tuple[str, str | None]]:
    """Return the code and the field of each problem for which the call is rejected; fail where it is not."""
    with pytest.raises(Rejected) as raised:
        await call
    return [(problem.code.name, problem.field) for problem in raised.value.problems]
