"""OpenTelemetry traces, when `OTEL_EXPORTER_OTLP_ENDPOINT` is set: otherwise nothing is imported and nothing measured.

A span says what was done, about which object of Stripe's, how it ended and how long that took: never an operation's
variables, a payload, a parameter, a key, an e-mail address or a card. What an error says may quote any of them, so that
only its type is told.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

from gateway import __version__
from gateway.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "billing-gateway"
FLUSH_SECONDS = 2.0  # at the end: a collector that does not answer must not keep the process

Value = str | int | float | bool
Kind = Literal["INTERNAL", "SERVER", "CLIENT"]


class Note(Protocol):
    """Adds to a span what is known only later."""

    def __call__(self, **attributes: Value | None) -> None:
        """Add attributes (`None` is left out); `error` says that it failed, in a word."""


def _nothing(**_: Value | None) -> None:
    pass


_OFF: nullcontext[Note] = nullcontext(_nothing)
_provider: "TracerProvider | None" = None


def start(endpoint: str) -> None:
    """Send spans to a collector from now on, by OTLP over HTTP.

    The other variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`,
    `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_…`) are read by its SDK.

    Args:
        endpoint: the collector, such as `http://127.0.0.1:4318`.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    global _provider  # noqa: PLW0603 - as with the metrics, there is one for a process
    if _provider is not None:
        return
    try:
        sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
        resources = import_module("opentelemetry.sdk.resources")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT: OpenTelemetry is missing; pip install '.[otel]', or unset it"
        ) from None
    named = resources.OTELResourceDetector().detect().attributes  # the environment's word counts more than ours
    resource = resources.Resource.create({"service.name": SERVICE, "service.version": __version__, **named})
    _provider = sdk.TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = otlp.OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
    _provider.add_span_processor(export.BatchSpanProcessor(exporter))


def stop() -> None:
    """Send the spans that are left, for two seconds at most, and stop tracing."""
    global _provider  # noqa: PLW0603
    if _provider is not None:
        last = threading.Thread(target=_provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)
        _provider = None


def active() -> bool:
    """Return whether anything is measured, for callers whose attributes cost something to compute."""
    return _provider is not None


def span(
    name: str, kind: Kind = "INTERNAL", caller: Mapping[str, str] | None = None, **attributes: Value | None
) -> AbstractContextManager[Note]:
    """Measure what is done within the block, as a part of what is being measured around it.

    Args:
        name: what is done; one of few.
        kind: OpenTelemetry's kind of span.
        caller: the headers of a request. The trace that they name is linked, not continued: whoever may call a public
            endpoint may not decide what is sampled.
        attributes: what is known of it.
    """
    return _OFF if _provider is None else _measured(_provider, name, kind, caller or {}, attributes)


def past(name: str, seconds: float, **attributes: Value | None) -> None:
    """Record a span that has ended now and took so many seconds."""
    if _provider is not None:
        began = time.time_ns() - int(seconds * 1e9)
        done = _provider.get_tracer(SERVICE).start_span(name, start_time=began)
        _note(done, attributes)
        done.end()


@contextmanager
def _measured(
    provider: "TracerProvider", name: str, kind: Kind, caller: Mapping[str, str], attributes: dict[str, Value | None]
) -> Iterator[Note]:
    from opentelemetry import propagate, trace  # noqa: PLC0415 - only where it is on

    outside = trace.get_current_span(propagate.extract(caller)).get_span_context()
    links = [trace.Link(outside)] if caller and outside.is_valid else []
    with provider.get_tracer(SERVICE).start_as_current_span(
        name, kind=trace.SpanKind[kind], links=links, record_exception=False, set_status_on_exception=False
    ) as current:

        def note(**more: Value | None) -> None:
            _note(current, more)

        note(**attributes)
        try:
            yield note
        except BaseException as error:
            note(error=type(error).__name__)
            raise


def _note(current: "trace.Span", attributes: Mapping[str, Value | None]) -> None:
    from opentelemetry import trace  # noqa: PLC0415

    for name, value in attributes.items():
        if name == "error" and value:
            current.set_status(trace.StatusCode.ERROR, str(value))
        elif value is not None:
            current.set_attribute(name, value)
