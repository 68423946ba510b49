"""Structured logs: one line of JSON each in production, readable lines in development."""

import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.observability import metrics

# Stripe's keys, signing secrets, signed tokens, and passwords in URLs.
MARK = re.compile(r"[sr]k_(?:live|test)_|whsec_|eyJ[\w-]{8}|://[^\s/:@]*:[^\s/@]+@")
SECRET = re.compile(rf"\S*(?:{MARK.pattern})\S*")
_HOUSE = Path(__file__).parents[1]
SIGNS = (b"k_live_", b"k_test_", b"whsec_", b"eyJ", b"://")
"""What is within every secret: looking for these in many lines costs less than the pattern does in one."""


def configure(*, readable: bool) -> None:
    """Set the logs up, the libraries' included.

    Args:
        readable: lines for people instead of JSON.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if readable else tell_where,
        hide_secrets,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    factory: Any = structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(lambda: sys.stderr)))
    if not readable:  # straight to the stream: the standard library's machinery would cost as much as an event does
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
        factory = structlog.BytesLoggerFactory(cast("BinaryIO", _Unfailing(lambda: sys.stderr.buffer)))
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
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
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("stripe").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the start and the stop are said by the commands


def each(event: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Log an event once for each entry, as `structlog.get_logger().info(event, **entry)` does.

    Lines of JSON are written together: by itself, each would cost as much as a statement of the database.

    Args:
        event: what has happened.
        entries: of what JSON can hold; none is empty.
    """
    factory = structlog.get_config()["logger_factory"]
    if not isinstance(factory, structlog.BytesLoggerFactory):
        for entry in entries:
            structlog.get_logger().info(event, **entry)
    elif entries:
        context = structlog.contextvars.get_contextvars()
        same = {"event": event, "level": "info", "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
        end = b"," + orjson.dumps({**context, **same})[1:]  # written once: what all lines have
        text = b"\n".join([orjson.dumps(entry)[:-1] + end for entry in entries])
        if any(sign in text for sign in SIGNS):
            hidden = (hide_secrets(None, "", {**context, **entry, **same}) for entry in entries)
            text = b"\n".join(map(orjson.dumps, hidden))
        factory().info(text)


class _Unfailing:
    """A stream that drops what it cannot write, because a log line must never undo what it tells of.

    A full disk or a closed pipe would otherwise raise where an event has just been committed.

    Args:
        stream: gives the stream, anew for each line: who redirects it meanwhile is followed.
    """

    def __init__(self, stream: Callable[[], Any]) -> None:
        self._stream = stream
        self._lines = 1

    def write(self, text: Any) -> None:
        """Write, if that is possible."""
        self._lines = len(text.splitlines())
        try:
            self._stream().write(text)
        except (OSError, ValueError):
            metrics.LOG_LINES_LOST.inc(self._lines)

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream().flush()
        except (OSError, ValueError):
            metrics.LOG_LINES_LOST.inc(self._lines)


def tell_where(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Of an error its kind and the place in the gateway that it came from, as `error` and `at`. Its words and its stack
    are for development: in production they could quote a statement, or what a customer sent.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if _HOUSE in (place := Path(frame.filename)).parents:
                event["at"] = f"{place.relative_to(_HOUSE.parent)}:{frame.lineno} in {frame.name}"
                break
    return event


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Whatever looks like a secret leaves no trace, whoever logs it."""
    return {name: _hidden(value) for name, value in event.items()}


def _hidden(value: object) -> object:
    return SECRET.sub("[secret]", value) if isinstance(value, str) and MARK.search(value) else value
