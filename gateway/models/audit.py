"""What was done for users by the application's back end and by operators."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime


class AuditEntry(Row, table=True):
    """One action, written before it is done and never taken away.

    `key` is the caller's idempotency key, `fingerprint` a digest of what was asked under it, `reference` the gateway's
    own name of the action, by which Stripe does it once. `status` is `pending`, `done` or `refused`; `result` is what
    who asks again under the key is answered, `problems` why it was refused. `by` is the credential (`service token 1`,
    `operator ann`), `actor` whom the caller names.
    """

    __tablename__ = "audit_entry"

    id: int | None = Field(default=None, primary_key=True)
    reference: str
    key: str = Field(unique=True)
    fingerprint: str
    action: str
    by: str
    actor: str | None = None
    external_id: str | None = Field(default=None, index=True)
    target: str | None = None
    input: dict[str, Any] = Field(sa_type=sa.JSON)
    status: str
    result: dict[str, Any] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    problems: list[dict[str, Any]] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    created: datetime = Field(sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)
