"""How log lines look: for a person at a console, or as JSON for what collects them."""

import logging

import structlog


def set_up_logs(level: str, format: str) -> None:
    """Send every logger's lines to standard error in one form, with an ISO time in UTC."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if format == "json":
        shared.append(structlog.processors.format_exc_info)
        last: structlog.types.Processor = structlog.processors.JSONRenderer()
    else:
        # Its own choice, where `rich` is installed, shows the local variables of every frame: keys,
        # passwords, what people wrote.
        last = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of what clients send
