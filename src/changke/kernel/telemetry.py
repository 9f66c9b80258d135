"""What the house tells about itself: structured logs without personal data, metrics, and traces where asked for."""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()
http_requests = Counter("changke_http_requests", "HTTP requests", ("method", "route", "status"), registry=registry)
http_seconds = Histogram("changke_http_seconds", "Seconds an HTTP request took", ("route",), registry=registry)
source_events = Gauge("changke_source_events", "Events of a source by answer", ("source", "status"), registry=registry)
source_lag = Gauge("changke_source_lag_seconds", "Age of a source's latest event", ("source",), registry=registry)
log_backlog = Gauge("changke_log_backlog_rows", "Event log rows a group has yet to read", ("group",), registry=registry)
log_lag = Gauge(
    "changke_log_lag_seconds", "Age of the oldest row a group has yet to read", ("group",), registry=registry
)
trigger_accuracy = Gauge(
    "changke_trigger_accuracy", "Share of decisions that an independent reading agrees with", ("program",),
    registry=registry,
)  # fmt: skip
ticks = Counter("changke_worker_ticks", "Turns of a periodic task", ("task", "outcome"), registry=registry)

_SECRET_NAMES = re.compile(
    r"phone|mobile|email|password|secret|token|authorization|card|openid|unionid|api_key|name_of", re.I
)
_SECRET_VALUES = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"), "[e-mail]"),
    (re.compile(r"(?<![\w.-])\+?\d[\d -]{8,17}\d(?![\w.-])"), "[number]"),
    (re.compile(r"\bck_[a-z]+_\w{8,}"), "[key]"),
)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace values with telling names, and e-mail addresses, phone-like numbers and API keys inside texts."""
    for name, value in event.items():
        if name in ("timestamp", "level", "logger"):
            continue
        if _SECRET_NAMES.search(name):
            event[name] = "[redacted]"
        elif isinstance(value, str):
            event[name] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """Return `text` with personal data and secrets replaced by their kind."""
    for pattern, kind in _SECRET_VALUES:
        text = pattern.sub(kind, text)
    return text


def configure(*, level: str = "info", form: str = "json") -> None:
    """Send structured logs to standard error, one JSON object a line, or readable ones for a console."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


_tracer: Any = None


def trace_to(endpoint: str) -> None:
    """Send spans to an OTLP/HTTP collector; needs the `telemetry` extra."""
    global _tracer
    from opentelemetry import trace  # noqa: PLC0415 - an optional extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("changke")


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Trace a piece of work; costs nothing where no collector is set."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, attributes=attributes):
        yield
