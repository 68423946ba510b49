"""Structured logs: one line of JSON each in production, readable lines in development."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SECRETS = ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_")


def configure(*, readable: bool, level: int = logging.INFO) -> None:
    """Set the logs up, the libraries' included.

    Args:
        readable: lines for people instead of JSON.
        level: the least important level that is written.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    # a traceback with local variables, structlog's default, would show whatever secret is among them
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("stripe").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the start and the stop are said by the commands


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whatever looks like a key of Stripe's leaves no trace, whoever logs it."""
    return {name: _hidden(value) for name, value in event.items()}


def _hidden(value: object) -> object:
    if isinstance(value, str) and any(mark in value for mark in SECRETS):
        return " ".join("[secret]" if any(mark in word for mark in SECRETS) else word for word in value.split(" "))
    return value
