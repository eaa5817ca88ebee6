"""OpenAI, OpenRouter, LM Studio, Ollama, vLLM, llama.cpp …: everything with `/chat/completions`."""

from collections.abc import AsyncGenerator, Callable, Mapping

from palaver.domain.errors import ErrorKind, ProviderError
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
from palaver.providers.answers import Answer, ErrorSent
from palaver.providers.bodies import encoded
from palaver.providers.openai import images, listing, refusals
from palaver.providers.openai.asking import Server, Wording, rejected
from palaver.providers.openai.citing import Citer, refers_by_number, set_apart
from palaver.providers.openai.interpreter import Interpreter, SearchingInterpreter
from palaver.providers.transport import (
    LIST_TIMEOUT_SECONDS,
    MAX_LIST_BYTES,
    Reply,
    Transport,
)


def build(settings: ProviderSettings) -> Provider:
    """Return the adapter of a server. Opens no connection yet."""
    return OpenAIProvider(settings)


class OpenAIProvider:
    """One server that speaks OpenAI's protocol, with its address and key."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        key = settings.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._transport = Transport(settings, headers=headers)
        self._wording = Wording(settings)
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
        reply = await self._transport.open("GET", "/models", wait_seconds=LIST_TIMEOUT_SECONDS)
        try:
            if reply.status != 200:
                raise await self._failure(reply)
            body = await reply.whole(max_bytes=MAX_LIST_BYTES)
        finally:
            reply.close()
        try:
            models, error = listing.parse(body, is_openrouter=self._is_openrouter)
        except (ValueError, RecursionError) as cause:
            message = f"What {self.name} sent is no list of models: is its base URL right?"
            raise ProviderError(message) from cause
        if error is not None:
            raise self._refused(refusals.parse(error))
        self._capabilities = best_of(models, streams=self.settings.streams)
        self._wording.thinkers = frozenset(model.name for model in models if model.profile.thinks)
        return models

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Ask for an answer, and yield it as it comes; see the port."""
        # All that may be repeated happens before the first event is in our hands.
        answer, events = await self._transport.repeated(lambda: self._begin(request))
        try:
            while events:
                for event in events:
                    yield event
                events = await answer.read()
        finally:
            answer.close()

    async def make_image(self, request: ImageRequest) -> MadeImage:
        """Have a picture made; see the port. Repeats only what was refused or not reached."""
        path = "/chat/completions" if self._is_openrouter else "/images/generations"
        reply = await self._transport.repeated(
            lambda: self._asked(
                path,
                lambda: self._wording.image_body(request),
                model=request.model,
                wait_seconds=self.settings.whole_timeout_seconds,
                absent=makes_no_images(self.name),
            )
        )
        try:
            found = images.parse(self.settings, await self._read(reply, images.MAX_BODY_BYTES))
        except ErrorSent as error:
            raise self._refused(refusals.parse(error.error), model=request.model) from error
        finally:
            reply.close()
        content = await self._fetched(found.address) if found.address else found.content
        return MadeImage(content, found.usage)

    async def _fetched(self, address: str) -> bytes:
        """Return a picture that the server keeps at an address of its own."""
        reply = await self._transport.open("GET", address, wait_seconds=LIST_TIMEOUT_SECONDS)
        try:
            if reply.status != 200:
                raise await self._failure(reply)
            content = await self._read(reply, images.MAX_IMAGE_BYTES + 1)
        finally:
            reply.close()
        if len(content) > images.MAX_IMAGE_BYTES:
            raise images.too_large(self.settings)
        return content

    async def _read(self, reply: Reply, max_bytes: int) -> bytes:
        reply.heard(self.settings.whole_timeout_seconds)
        return await reply.whole(max_bytes=max_bytes)

    async def _begin(self, request: CompletionRequest) -> tuple[Answer, list[CompletionEvent]]:
        """Send the request and wait for the first events of the answer."""
        settings = self.settings
        refers = refers_by_number(settings.base_url, request)
        if refers:
            request = set_apart(request)
        reply = await self._asked(
            "/chat/completions",
            lambda: self._wording.body(request),
            model=request.model,
            wait_seconds=self._transport.patience_seconds,
        )
        try:
            answer = Answer(
                settings,
                reply,
                self._interpreter(request, refers=refers),
                sent=lambda error: self._refused(refusals.parse(error), model=request.model),
            )
            return answer, await answer.read()
        except BaseException:
            reply.close()
            raise

    def _interpreter(self, request: CompletionRequest, *, refers: bool) -> Interpreter:
        if not (request.searches_web or refers):
            return Interpreter()
        return SearchingInterpreter(Citer(self.name, first=request.first_source, refers=refers))

    async def _asked(
        self,
        path: str,
        body: Callable[[], Mapping[str, object]],
        *,
        model: str,
        wait_seconds: float,
        absent: ProviderError | None = None,
    ) -> Reply:
        """Return the reply to what was taken; asks anew as long as a refusal teaches how.

        `absent` is raised where there is nothing at the path.
        """
        while True:
            known = self._wording.habits.refused(model)
            sent = body()
            reply = await self._transport.open(
                "POST", path, body=await encoded(sent), wait_seconds=wait_seconds
            )
            if reply.status == 200:
                return reply
            try:
                refusal = refusals.parse(await reply.complaint())
            finally:
                reply.close()
            field = rejected(reply.status, refusal, sent, known=known)
            if not self._wording.habits.learn(model, field, known=known):
                error = self._refused(refusal, reply, model=model)
                if absent is not None and reply.status in (404, 405, 501):
                    raise absent if error.kind is not ErrorKind.MODEL_NOT_FOUND else error
                raise error

    @property
    def _is_openrouter(self) -> bool:
        return self._wording.server is Server.OPENROUTER

    async def _failure(self, reply: Reply) -> ProviderError:
        return self._refused(refusals.parse(await reply.complaint()), reply)

    def _refused(
        self, refusal: refusals.Refusal, reply: Reply | None = None, *, model: str | None = None
    ) -> ProviderError:
        return refusals.failure(
            self.settings,
            refusals.status_of(refusal) if reply is None else reply.status,
            refusal,
            model=model,
            retry_after_seconds=None
            if reply is None
            else failures.retry_after_seconds(reply.headers),
        )
