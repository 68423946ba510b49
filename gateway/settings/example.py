"""`.env.example`, written from the settings: `python -m gateway.settings.example > .env.example`."""

import sys
import textwrap
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.settings.load import Settings, variable_of

FIRST = (
    *("stripe_secret_key", "stripe_webhook_secrets", "database_url", "redirect_origins", "cors_origins"),
    *("auth_jwks_url", "auth_issuer", "auth_audience", "trusted_proxies"),
)
"""What a production gateway is asked for, in the order of docs/going-live.md."""

HEAD = """\
# The settings of the gateway, with their defaults: copy this file to .env, and uncomment what you change.
# `gateway init` writes a .env that works. docs/settings.md says the same in groups.
# Written by `python -m gateway.settings.example`; a test keeps it in step.
"""


def example() -> str:
    """Return the text of `.env.example`: what goes live needs first, the rest as the settings have it."""
    fields = Settings.model_fields
    rest = [field for name, field in fields.items() if name not in FIRST]
    parts = [
        HEAD,
        "# --- What a gateway needs ---\n",
        *(_entry(fields[name], commented="") for name in FIRST),
        "# --- Everything else ---\n",
        *(_entry(field, commented="# ") for field in rest),
    ]
    return "\n".join(parts)


def _entry(field: FieldInfo, commented: str) -> str:
    lines = textwrap.wrap(str(field.description).replace("`", ""), 110, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines) + f"{commented}{variable_of(field)}={written(field.default)}\n"


def written(value: Any) -> str:
    """Return a default as a variable has it; nothing stands for none."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.stdout.write(example())
