"""What is looked at before `gateway serve` serves. It imports the whole application, which one process runs then."""

import gateway.app  # noqa: F401 - the server takes it by its name
from gateway import __version__
from gateway.db.engines import database_url
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.settings import Settings
from gateway.settings.proxies import prepare_proxies, proxy_variable


def check(host: str, port: int) -> dict[str, str]:
    """Return what is said once the gateway serves, by its settings.

    Args:
        host: the address to listen on.
        port: the port.

    Raises:
        SettingsError: one is missing or wrong.
    """
    settings = Settings.load()
    settings.require_stripe()
    prepare_proxies(settings)
    url = database_url(settings.database_url.get_secret_value())
    PersistedDocuments(settings)
    about = {
        "address": f"http://{f'[{host}]' if ':' in host else host}:{port}",
        "version": __version__,
        "mode": settings.stripe_mode,
        "database": f"SQLite, {url.database}" if url.drivername == "sqlite" else f"PostgreSQL, {url.database}",
    }
    if proxy := proxy_variable(settings.stripe_api_base):
        about["proxy"] = proxy
    return about
