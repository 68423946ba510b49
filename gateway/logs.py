"""Structured logs: one line of JSON each in production, readable lines in development."""

import logging
import re
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway import metrics

# Stripe's keys, signing secrets, signed tokens, and passwords in URLs.
MARK = re.compile(r"[sr]k_(?:live|test)_|whsec_|eyJ[\w-]{8}|://[^\s/:@]*:[^\s/@]+@")
SECRET = re.compile(rf"\S*(?:{MARK.pattern})\S*")


def configure(*, readable: bool, level: int = logging.INFO) -> None:
    """Set the logs up, the libraries' included.

    Args:
        readable: lines for people instead of JSON.
        level: the least important level that is written.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    factory: Any = structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(lambda: sys.stderr)))
    if not readable:  # straight to the stream: the standard library's machinery would cost as much as an event does
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
        factory = structlog.BytesLoggerFactory(cast("BinaryIO", _Unfailing(lambda: sys.stderr.buffer)))
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    for_libraries = structlog.processors.JSONRenderer() if not readable else renderer
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, for_libraries],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("stripe").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the start and the stop are said by the commands


class _Unfailing:
    """A stream that drops what it cannot write, because a log line must never undo what it tells of.

    A full disk or a closed pipe would otherwise raise where an event has just been committed.

    Args:
        stream: gives the stream, anew for each line: who redirects it meanwhile is followed.
    """

    def __init__(self, stream: Callable[[], Any]) -> None:
        self._stream = stream

    def write(self, text: Any) -> None:
        """Write, if that is possible."""
        try:
            self._stream().write(text)
        except (OSError, ValueError):
            metrics.LOG_LINES_LOST.inc()

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream().flush()
        except (OSError, ValueError):
            metrics.LOG_LINES_LOST.inc()


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whatever looks like a secret leaves no trace, whoever logs it."""
    return {name: _hidden(value) for name, value in event.items()}


def _hidden(value: object) -> object:
    return SECRET.sub("[secret]", value) if isinstance(value, str) and MARK.search(value) else value
