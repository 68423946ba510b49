"""Structured logs: one line of JSON each in production, readable lines in development."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.errors import GatewayError
from gateway.observability import metrics

# Stripe's keys, signing secrets, signed tokens, passwords in URLs, and e-mail addresses, which Stripe's refusals quote.
MARK = re.compile(r"[sr]k_(?:live|test)_|whsec_|eyJ[\w-]{8}|://[^\s/:@]*:[^\s/@]+@|[^\s/@]@[^\s/@]")
HINTS = ("k_", "whsec_", "eyJ", "@")  # one of them is in whatever `MARK` finds, and they are found sooner
SECRET = re.compile(rf"\S*(?:{MARK.pattern})\S*")
_PACKAGE = Path(__file__).parents[1]
MAX_PLACES, MAX_CAUSES = 40, 5


def configure_logging(*, readable: bool) -> None:
    """Set up the logs, the libraries' included.

    Args:
        readable: lines for people instead of JSON.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if readable else add_location,
        redact_secrets,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),  # https://no-color.org
        exception_formatter=structlog.dev.plain_traceback,
    )
    _STREAM.target = lambda: sys.stderr
    factory: Any = structlog.PrintLoggerFactory(cast("TextIO", _STREAM))
    if not readable:  # straight to the stream: the standard library's machinery would cost as much as an event does
        renderer = _JSON_LINE
        _STREAM.target = lambda: sys.stderr.buffer
        factory = structlog.BytesLoggerFactory(cast("BinaryIO", _STREAM))
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


def written_at_once() -> AbstractContextManager[None]:
    """Write the lines of a block with one call at its end: a call for each costs a twentieth of what an event does."""
    return _STREAM.held()


def info_lines(event: str, lines: Sequence[EventDict]) -> None:
    """Log lines about one kind of event as `info` does; in production, what all of them say is made once.

    Args:
        event: what has happened.
        lines: what each tells of it.
    """
    log = structlog.get_logger()
    *processors, renderer = structlog.get_config()["processors"]
    if renderer is not _JSON_LINE:
        for line in lines:
            log.info(event, **line)
        return
    said: EventDict = {"event": event}
    for processor in processors:
        said = cast("EventDict", processor(log, "info", said))
    text = b"".join([orjson.dumps({**line, **said}, option=orjson.OPT_APPEND_NEWLINE) for line in lines])
    if any(hint.encode() in text for hint in HINTS):
        redacted = (redact_secrets(log, "info", {**line, **said}) for line in lines)
        text = b"".join([orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in redacted])
    _STREAM.write(text)
    _STREAM.flush()


class _TolerantStream:
    """A stream that drops what it cannot write, because a log line must never undo what it reports.

    A full disk or a closed pipe would otherwise raise where an event has just been committed.

    Attributes:
        target: returns where to write, asked each time so that a redirection takes effect.
    """

    def __init__(self) -> None:
        self.target: Callable[[], Any] = lambda: sys.stderr
        self._lock = RLock()
        self._unwritten: list[Any] = []
        self._held = 0

    def write(self, text: Any) -> None:
        """Take what the next `flush` writes."""
        with self._lock:
            self._unwritten.append(text)

    def flush(self) -> None:
        """Write what has been taken, or count its lines as lost; while it is held that waits."""
        with self._lock:
            if self._held or not self._unwritten:
                return
            text = type(self._unwritten[0])().join(self._unwritten)
            self._unwritten = []
            try:
                self.target().write(text)
                self.target().flush()
            except (OSError, ValueError):
                metrics.LOG_LINES_LOST.inc(len(text.splitlines()))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write nothing while a block runs, then all that has come."""
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                self.flush()


_STREAM = _TolerantStream()
_JSON_LINE = structlog.processors.JSONRenderer(serializer=orjson.dumps)


def add_location(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type, where in the gateway it came from, and the places that it came through.

    Its message and the values on its stack are for development: in production they could quote a statement, or what a
    customer sent. A `GatewayError` is expected, and explains itself: of it there is no stack.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        places = _places(error)
        if ours := [place for place in places if place.startswith(f"{_PACKAGE.name}/")]:
            event["at"] = ours[-1]
        if not isinstance(error, GatewayError):
            event["stack"] = places[-MAX_PLACES:]
            if causes := [f"{type(cause).__name__} at {(_places(cause) or ['?'])[-1]}" for cause in _causes(error)]:
                event["causes"] = causes
    return event


def _places(error: BaseException) -> list[str]:
    """Return file, line and function of each step of an exception's way, and nothing of what was in them."""
    steps = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return [f"{_short(Path(step.filename))}:{step.lineno} in {step.name}" for step in steps]


def _short(file: Path) -> str:
    """Return a file as its package has it, wherever that is installed."""
    if _PACKAGE in file.parents:
        return file.relative_to(_PACKAGE.parent).as_posix()
    home = next((place for place in sys.path if place and Path(place) in file.parents), None)
    return file.relative_to(home).as_posix() if home else file.name


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an exception came from, the last one first."""
    seen = {id(error)}
    while (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        if id(cause) in seen or len(seen) > MAX_CAUSES:
            return
        seen.add(id(cause))
        yield cause
        error = cause


def redact_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace whatever looks like a secret, whoever logs it."""
    words = "\n".join([value for value in event.values() if isinstance(value, str)])
    if not any(map(words.__contains__, HINTS)):
        return event
    return {
        name: SECRET.sub("[secret]", value) if isinstance(value, str) and MARK.search(value) else value
        for name, value in event.items()
    }
