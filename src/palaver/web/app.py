"""The one ASGI application: every contract's table behind one matcher."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from time import perf_counter
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.kit.ids import new_request_id
from palaver.services.services import Services
from palaver.web.answers import finish, json_answer
from palaver.web.authentication import authenticate
from palaver.web.binding import Signature, signature_of
from palaver.web.bodies import decode_body
from palaver.web.call import Call
from palaver.web.endpoint import Dialect, Endpoint, RenderError
from palaver.web.idempotency import IDEMPOTENCY_KEY, once
from palaver.web.matcher import Matcher
from palaver.web.rates import count_request, show_allowance
from palaver.web.settings import WebSettings
from palaver.web.streams import EventStream
from palaver.web.uploads import content_of, is_multipart, no_upload, received

log = logging.getLogger(__name__)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint, its contract, and what its handler's signature says."""

    dialect: Dialect
    endpoint: Endpoint
    signature: Signature

    @property
    def render_error(self) -> RenderError:
        """Return what words its failures."""
        return self.endpoint.render_error or self.dialect.render_error


def rows_of(dialects: Sequence[Dialect]) -> list[Row]:
    """Bind every endpoint of every contract, in the order of their tables."""
    return [
        Row(dialect, endpoint, signature_of(endpoint.handler, endpoint.path))
        for dialect in dialects
        for endpoint in dialect.endpoints
    ]


class MethodNotAllowed(DomainError):
    """The path exists; `allow` holds the methods that it answers."""

    kind = ErrorKind.METHOD_NOT_ALLOWED

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allow = allow


class Application:
    """Answers HTTP requests; `fallback` holds the pages, and words what matches nothing at all."""

    def __init__(
        self,
        dialects: Sequence[Dialect],
        services: Services,
        settings: WebSettings,
        *,
        fallback: Dialect,
    ) -> None:
        self.services = services
        self.settings = settings
        self.dialects = tuple(dialects)
        self._fallback = fallback
        self._rows = Matcher(
            (
                (row.endpoint.method, row.endpoint.path, row)
                for row in rows_of((*dialects, fallback))
            ),
            owned=[
                prefix
                for dialect in dialects
                for prefix in dialect.strays
                if not prefix.endswith("/")
            ],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await _refuse_websocket(receive, send)
            return
        scope["app"] = self
        begun = perf_counter()
        request = Request(scope, receive)
        request_id = new_request_id()
        # For the log lines of this task, which is this request's alone, and of those it starts.
        bind_contextvars(request_id=request_id)
        call = Call(request, self.services, self.settings, request_id=request_id)
        try:
            dialect, response = await self._answer(call)
            if dialect.is_rate_limited:
                await show_allowance(call, response)
        except ClientDisconnect:
            return
        finish(call, response)
        self.services.metrics.meters.requests.observe(
            perf_counter() - begun,
            (dialect.name, _method(scope["method"]), f"{response.status_code // 100}xx"),
        )
        if isinstance(response, EventStream):
            with self.services.readers.reading(call.actor, response.stream):
                await response(scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(self, call: Call) -> tuple[Dialect, Response]:
        """Return the answer, and the contract whose it is."""
        scope = call.request.scope
        dialect = self._fallback
        render_error = dialect.render_error
        try:
            found = self._rows.find(_segments(scope))
            if found is None:
                dialect = self._owner_of_stray(scope["path"])
                render_error = dialect.render_error
                raise NotFound("route")
            leaf, values = found
            method = scope["method"]
            answering = leaf.methods.get("GET" if method == "HEAD" else method)
            row = answering or next(iter(leaf.methods.values()))
            dialect, render_error = row.dialect, row.render_error
            if answering is None:
                raise MethodNotAllowed(method, leaf.allow)
            return dialect, await self._handle(call, row, values)
        except DomainError as error:
            return dialect, _rendered(error, call, dialect, render_error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            unexpected = DomainError("An unexpected error occurred.")
            return dialect, _rendered(unexpected, call, dialect, render_error)

    async def _handle(self, call: Call, row: Row, values: list[str]) -> Response:
        endpoint, signature = row.endpoint, row.signature
        await authenticate(call, endpoint)
        if endpoint.gate is not None:
            await endpoint.gate(call)
        if row.dialect.is_rate_limited:
            await count_request(call)
        if not signature.takes_body:
            return await self._run(call, row, values, None, b"")
        content_type = call.header(b"content-type") or ""
        if signature.form is not None and is_multipart(content_type):
            async with received(call.request, signature.form, max_bytes=endpoint.max_bytes) as form:
                content = await content_of(form) if call.header(IDEMPOTENCY_KEY) else b""
                return await self._run(call, row, values, form, content)
        content = await call.content(max_bytes=endpoint.max_bytes)
        if signature.body is None:
            raise no_upload(content)
        body = decode_body(
            content,
            content_type,
            signature.body,
            takes_form=endpoint.takes_form,
            takes_upload=signature.form is not None,
        )
        return await self._run(call, row, values, body, content)

    async def _run(
        self, call: Call, row: Row, values: list[str], body: Any, content: bytes
    ) -> Response:
        """Call the handler; `content` is what tells two requests with one key from each other."""
        endpoint, signature = row.endpoint, row.signature

        async def run() -> Response:
            answer = await signature.call(call, values, body)
            if isinstance(answer, Response):
                return answer
            if answer is None:
                return Response(status_code=endpoint.status)
            return json_answer(answer, endpoint.status)

        async def rendered() -> Response:
            try:
                return await run()
            except DomainError as error:
                return _rendered(error, call, row.dialect, row.render_error)

        key = call.header(IDEMPOTENCY_KEY) if endpoint.changes else None
        if key is None or call.actor.user_id is None:
            return await run()
        return await once(call, endpoint, key, content, rendered)

    def _owner_of_stray(self, path: str) -> Dialect:
        prefixes = [
            (len(prefix), dialect)
            for dialect in self.dialects
            for prefix in dialect.strays
            if path.startswith(prefix)
        ]
        return max(prefixes, key=itemgetter(0), default=(0, self._fallback))[1]


def _rendered(
    error: DomainError, call: Call, dialect: Dialect, render_error: RenderError
) -> Response:
    """Return a failure in its own shape, with the headers that HTTP asks for."""
    response = render_error(error, call)
    if error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(max(1, error.retry_after_seconds))
    if isinstance(error, MethodNotAllowed):
        response.headers["allow"] = error.allow
    if response.status_code == 401 and dialect.signs_in_by == "bearer":
        response.headers["www-authenticate"] = "Bearer"
    return response


def _method(method: str) -> str:
    """Return what is counted of a method: those that nobody has heard of are one."""
    return method if method in _METHODS else "other"


def _segments(scope: Scope) -> list[str]:
    """Return the segments of the path; an encoded slash is part of one, and cuts nothing."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%" not in raw:
        return str(scope["path"]).split("/")
    return [unquote(segment) for segment in raw.partition(b"?")[0].decode("latin-1").split("/")]


async def _refuse_websocket(receive: Receive, send: Send) -> None:
    message: Any = await receive()
    if message["type"] == "websocket.connect":
        await send({"type": "websocket.close", "code": 1000})
