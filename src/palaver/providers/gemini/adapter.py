"""Google Gemini: what it is asked, and what comes of it."""

from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import quote

from palaver.domain.errors import ProviderError
from palaver.domain.models import ListedModel
from palaver.domain.providers import (
    Capabilities,
    CompletionEvent,
    CompletionRequest,
    ImageRequest,
    MadeImage,
    Provider,
    ProviderSettings,
    best_of,
    makes_no_images,
)
from palaver.providers import failures
from palaver.providers.answers import MAX_ANSWER_BYTES, Answer, WrongShape
from palaver.providers.bodies import encoded
from palaver.providers.gemini import asking, listing, refusals
from palaver.providers.gemini.grounding import Weaver
from palaver.providers.gemini.wire import Interpreter, Withheld, decode
from palaver.providers.habits import Habits
from palaver.providers.transport import (
    LIST_TIMEOUT_SECONDS,
    MAX_LIST_BYTES,
    Reply,
    Transport,
)

MAX_PAGES: Final = 20
_PAGE_SIZE: Final = 1_000


def build(settings: ProviderSettings) -> Provider:
    """Return the adapter. Opens no connection yet."""
    return GeminiProvider(settings)


class GeminiProvider:
    """The Gemini API, or a server that speaks as it does, with its address and key."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        key = settings.api_key
        # In the address, as some examples have it, the key would stand in everybody's logs.
        self._transport = Transport(settings, headers={"x-goog-api-key": key} if key else {})
        self._habits = Habits()
        self._capabilities = Capabilities(streaming=settings.streams)

    @property
    def id(self) -> str:
        """Return the name before the slash of its models."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.settings.name

    @property
    def capabilities(self) -> Capabilities:
        """Return what its models can do at best, as far as they have been listed."""
        return self._capabilities

    async def close(self) -> None:
        """Give up every connection."""
        await self._transport.close()

    async def list_models(self) -> list[ListedModel]:
        """Ask which models it serves, in its own order. Raises `ProviderError`; tries once."""
        models: dict[str, ListedModel] = {}
        token = ""
        for _ in range(MAX_PAGES):
            listed, page = await self._page(token)
            models |= {model.name: model for model in listed}
            if not page.next_page_token or page.next_page_token == token:
                break
            token = page.next_page_token
        found = list(models.values())
        self._capabilities = best_of(found, streams=self.settings.streams)
        return found

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Ask for an answer, and yield it as it comes; see the port."""
        # All that may be repeated happens before the first event is in our hands.
        answer, interpreter, events = await self._transport.repeated(lambda: self._begin(request))
        try:
            while events:
                for event in events:
                    yield event
                events = await answer.read()
        except ProviderError:
            for event in interpreter.rest():
                yield event
            raise
        finally:
            answer.close()

    async def make_image(self, request: ImageRequest) -> MadeImage:
        """Have a picture made. Raises `ProviderError`."""
        if not listing.makes_images(request.model):
            raise makes_no_images(self.name)
        return await self._transport.repeated(lambda: self._paint(request))

    async def _page(self, token: str) -> tuple[list[ListedModel], listing.Page]:
        path = f"/v1beta/models?pageSize={_PAGE_SIZE}"
        if token:
            path += f"&pageToken={quote(token, safe='')}"
        reply = await self._transport.open("GET", path, wait_seconds=LIST_TIMEOUT_SECONDS)
        try:
            if reply.status != 200:
                raise self._refused(refusals.parse(await reply.complaint()), reply)
            body = await reply.whole(max_bytes=MAX_LIST_BYTES)
        finally:
            reply.close()
        try:
            models, page = listing.parse(body)
        except (ValueError, RecursionError) as cause:
            message = f"What {self.name} sent is no list of models: is its base URL right?"
            raise ProviderError(message) from cause
        if page.error or (page.models is None and not token):
            raise self._refused(refusals.parse(page.error or "no list of models came"))
        return models, page

    async def _begin(
        self, request: CompletionRequest
    ) -> tuple[Answer, Interpreter, list[CompletionEvent]]:
        """Send the request and wait for the first events of the answer."""
        settings, model = self.settings, request.model
        wait_seconds = self._transport.patience_seconds
        verb = "streamGenerateContent?alt=sse" if settings.streams else "generateContent"
        while True:
            known = self._habits.refused(model)
            sent = asking.body(request, rejected=known)
            reply = await self._post(model, verb, sent, wait_seconds=wait_seconds)
            try:
                if reply.status == 200:
                    weaver = Weaver(request.first_source) if request.searches_web else None
                    interpreter = Interpreter(weaver)
                    answer = Answer(
                        settings, reply, interpreter, sent=lambda it: self._sent(it, model)
                    )
                    return answer, interpreter, await answer.read()
                refusal = refusals.parse(await reply.complaint())
            except BaseException:
                reply.close()
                raise
            reply.close()
            part = asking.rejected_part(refusal.message, sent) if reply.status == 400 else None
            if not self._habits.learn(model, part, known=known):
                raise self._refused(refusal, reply, model=model)

    async def _paint(self, request: ImageRequest) -> MadeImage:
        wait_seconds = self.settings.whole_timeout_seconds
        sent = {
            "contents": [{"role": "user", "parts": [{"text": request.prompt}]}],
            "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
        }
        model = request.model
        reply = await self._post(model, "generateContent", sent, wait_seconds=wait_seconds)
        try:
            if reply.status != 200:
                raise self._refused(refusals.parse(await reply.complaint()), reply, model=model)
            body = await reply.whole(max_bytes=MAX_ANSWER_BYTES)
        finally:
            reply.close()
        try:
            chunk = decode(body)
        except WrongShape as error:
            raise ProviderError(f"What {self.name} sent cannot be read as an answer.") from error
        for candidate in chunk.candidates or ():
            for part in (candidate.content and candidate.content.parts) or ():
                if part.inline_data is not None and part.inline_data.data and not part.thought:
                    usage = chunk.usage_metadata.reported() if chunk.usage_metadata else None
                    return MadeImage(part.inline_data.data, usage)
        raise ProviderError(f"{self.name} made no picture of this.")

    async def _post(
        self, model: str, verb: str, sent: dict[str, Any], *, wait_seconds: float
    ) -> Reply:
        if not listing.NAME.fullmatch(model):
            raise failures.no_model(self.settings, model)
        path = model if "/" in model else f"models/{model}"
        return await self._transport.open(
            "POST",
            f"/v1beta/{path}:{verb}",
            body=await encoded(sent),
            wait_seconds=wait_seconds,
        )

    def _sent(self, sent: object, model: str) -> ProviderError:
        """Return the error of an answer that began and has no end."""
        if isinstance(sent, Withheld):
            return refusals.withheld(self.settings, sent)
        return self._refused(refusals.parse(sent), model=model)

    def _refused(
        self, refusal: refusals.Refusal, reply: Reply | None = None, *, model: str | None = None
    ) -> ProviderError:
        if reply is None:
            status, pause = refusals.status_of(refusal), None
        else:
            status, pause = reply.status, failures.retry_after_seconds(reply.headers)
        return refusals.failure(
            self.settings, status, refusal, model=model, retry_after_seconds=pause
        )
