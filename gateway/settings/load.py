"""All settings, read and checked at the start.

`Settings.load()` reads the environment (and, in development, `.env`). A wrong or missing value stops the start with one
line that names the variable and says what to do. Secrets are `SecretStr`: they never appear in a log, an error or
`repr`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import structlog
from pydantic import AliasChoices, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from gateway.errors import SettingsError
from gateway.settings.deprecated import OLD_NAMES
from gateway.settings.selling import SellingVariables
from gateway.settings.unknown import unknown_names
from gateway.settings.variables import LIVE_KEY, STRIPE_API, ServiceVariables

log = structlog.get_logger()


class Settings(SellingVariables, ServiceVariables):
    """The gateway's settings: every variable, what they mean together, and what follows from them."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    _old_names: dict[str, str] = PrivateAttr(default_factory=dict)
    _unknown_names: dict[str, str | None] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _something_may_run(self) -> Self:
        if self.trusted_documents_only and not self.trusted_documents:
            raise ValueError("GATEWAY_TRUSTED_DOCUMENTS is not set, and nothing else may run; name the manifest")
        return self

    @model_validator(mode="after")
    def _operators_are_known(self) -> Self:
        if self.operator_jwks_url and not (self.operator_issuer and self.operator_audience):
            raise ValueError(
                "GATEWAY_OPERATOR_JWKS_URL alone takes tokens that were made for other applications; set "
                "GATEWAY_OPERATOR_ISSUER and GATEWAY_OPERATOR_AUDIENCE too"
            )
        users, operators = (self.auth_issuer, self.auth_audience), (self.operator_issuer, self.operator_audience)
        if self.operator_jwks_url and users == operators:
            raise ValueError("GATEWAY_OPERATOR_AUDIENCE is the users' too; give the console a client of its own")
        if self.console and not (self.operator_tokens or self.operator_jwks_url):
            raise ValueError(
                "GATEWAY_CONSOLE: nobody could sign in; set GATEWAY_OPERATOR_TOKENS or GATEWAY_OPERATOR_JWKS_URL"
            )
        return self

    @model_validator(mode="after")
    def _no_live_key_offline(self) -> Self:
        """Refuse a live key for any other address than Stripe's: sent elsewhere it is compromised."""
        key = self.stripe_secret_key.get_secret_value() if self.stripe_secret_key else ""
        if LIVE_KEY.match(key) and self.stripe_api_base != STRIPE_API:
            raise ValueError("STRIPE_API_BASE: a live key goes to Stripe alone; unset it, or use a test key")
        return self

    @classmethod
    def load(cls, *, env_files: tuple[Path, ...] = (), **overrides: Any) -> Self:
        """Read the settings from the environment, then from `env_files` (the later ones yield to the earlier).

        Args:
            env_files: dotenv files for development; none in production.
            overrides: values by field name that come before the environment.

        Raises:
            SettingsError: one line for each wrong value, which names the variable and says what to do.
        """
        files = env_files[::-1] or None
        given = EnvSettingsSource(cls).env_vars.keys() | DotEnvSettingsSource(cls, env_file=files).env_vars.keys()
        old_names = {old: new for new, old in OLD_NAMES.items() if old.lower() in given}
        try:
            settings = cls(_env_file=files, **overrides)
        except ValidationError as error:
            lines = [_line(problem) for problem in error.errors()]
            lines += [f"{old}: this name is deprecated; use {new}" for old, new in old_names.items()]
            raise SettingsError("\n".join(lines)) from None
        settings._old_names = old_names
        known = {name for field in cls.model_fields.values() for name in names_of(field)}
        settings._unknown_names = unknown_names(given, known)
        return settings

    @property
    def old_names(self) -> dict[str, str]:
        """The deprecated names that the environment uses, each with the name to use instead."""
        return self._old_names

    @property
    def unknown_names(self) -> dict[str, str | None]:
        """The variables that look like settings and are none, each with the one that may be meant."""
        return self._unknown_names

    def warn_about_names(self) -> None:
        """Log a warning for each name that the environment uses and that is deprecated, or no setting at all."""
        for old, new in self._old_names.items():
            log.warning("setting_deprecated", name=old, use=new)
        for name, meant in self._unknown_names.items():
            log.warning("setting_unknown", name=name, did_you_mean=meant)

    @property
    def grace(self) -> timedelta:
        """How long access goes on after the first failed charge of a renewal."""
        return timedelta(days=self.grace_days)

    @property
    def renewal_grace(self) -> timedelta:
        """How long a period's credits stay usable while the next invoice is not paid."""
        return timedelta(hours=self.renewal_grace_hours)

    @property
    def stripe_mode(self) -> Literal["offline", "test", "live"]:
        """Which Stripe is called: the offline one, or Stripe itself in the mode of the key."""
        if self.stripe_api_base != STRIPE_API:
            return "offline"
        return (
            "live" if self.stripe_secret_key and LIVE_KEY.match(self.stripe_secret_key.get_secret_value()) else "test"
        )

    def require_stripe(self) -> str:
        """Return Stripe's key.

        Raises:
            SettingsError: there is none.
        """
        if self.stripe_secret_key is None:
            raise SettingsError(
                "STRIPE_SECRET_KEY is not set: give it a key from the Stripe dashboard (Developers, API keys), "
                "or run `gateway dev`, which needs none"
            )
        return self.stripe_secret_key.get_secret_value()


def _line(problem: Any) -> str:
    """Return one line for a pydantic problem, without the value, which may be a secret."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    name = ".".join(str(part) for part in problem["loc"])
    field = Settings.model_fields.get(name)
    return f"{variable_of(field)}: {message}" if field else message if not name else f"{name}: {message}"


def variable_of(field: FieldInfo) -> str:
    """Return the environment variable of a field, the first where it has two names."""
    return names_of(field)[0]


def names_of(field: FieldInfo) -> list[str]:
    """Return every environment variable of a field."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]
