"""Starting a run: the one place that every way of asking comes through.

What can be refused is refused here, before anything is shown: by the model's context, by the plan.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.generations import Generation, Options, Recipe
from palaver.domain.models import ModelType
from palaver.domain.providers import Turn
from palaver.domain.thinking import LEAST_ANSWER_TOKENS, check_thinking
from palaver.domain.usage import total
from palaver.domain.users import Actor
from palaver.kit.clock import Clock
from palaver.kit.ids import new_uuid
from palaver.services.driver import Driver, request_cancels
from palaver.services.gathering import Found
from palaver.services.ledger import grant, reserve
from palaver.services.models import DEMO, ModelService, ResolvedModel
from palaver.services.prompts import Prompt, build_prompt, prompt_of, under_cap
from palaver.storage.conversations import Manner
from palaver.storage.tx import Tx

MAX_ANSWER_TOKENS: Final = 8192


class Choice(msgspec.Struct, frozen=True):
    """Which model is asked, and how; what is None is left to the conversation and the server."""

    provider_id: str | None = None
    model: str | None = None
    options: Options = Options()
    asked_model: str | None = None  # the alias that `model` stands for


class Order(msgspec.Struct, frozen=True):
    """A choice with everything decided, and what was found for its question."""

    resolved: ResolvedModel
    options: Options  # the request's, with the conversation's flags where it has none
    model: str | None  # as it was named, None for none
    asked_model: str | None
    found: Sequence[Found]
    cites: bool
    searches_web: bool
    thinks: bool

    @property
    def images(self) -> int:
        """Return how many pictures it will make."""
        return int(self.resolved.model.model_type is ModelType.IMAGE)

    def require_sight(self) -> None:
        """Raise `InvalidInput` for pictures that the model would not see."""
        model = self.resolved.model
        if model.model_type is not ModelType.TEXT or not model.profile.sees:
            message = f"The model {model.name} does not see pictures."
            raise InvalidInput.of("image_ids", Fault.NOT_ALLOWED, message)

    @property
    def least_tokens(self) -> int:
        """Return the smallest cap of an answer: thinking that was asked for takes its part."""
        return LEAST_ANSWER_TOKENS if self.options.use_extended_thinking else 1


class Start(msgspec.Struct, frozen=True):
    """A run whose record is written: launch it once that is durable."""

    generation: Generation
    prompt: Prompt


class Starter:
    """Writes the records of runs, and launches them."""

    def __init__(
        self,
        driver: Driver,
        models: ModelService,
        *,
        clock: Clock,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> None:
        self.driver = driver
        self.models = models
        self.clock = clock
        self.max_answer_tokens = max_answer_tokens
        self.on_launch: Callable[[Generation], None] | None = None

    async def order(
        self,
        actor: Actor,
        conversation: Conversation | None,
        choice: Choice,
        *,
        question: str,
    ) -> Order:
        """Decide what a choice leaves open, and look for what goes with the question.

        Raises `DomainError`, as `ModelService` does; `InvalidInput` for what the model, or this
        server, cannot do.
        """
        manner = await self._manner(conversation)
        resolved = await self.models.choose(
            actor,
            provider_id=choice.provider_id,
            model=choice.model,
            conversation_model=None if conversation is None else conversation.model,
            type=ModelType.IMAGE if manner.makes_pictures else ModelType.TEXT,
        )
        if manner.makes_pictures and resolved.model.model_type is not ModelType.IMAGE:
            sentence = f"This chatbot makes pictures, and the model {resolved.model.name} does not."
            raise DomainError(sentence, kind=ErrorKind.MODEL_NOT_FOUND)
        options = _with_flags(choice.options, manner.options)
        model = resolved.model
        if options.use_extended_thinking:
            check_thinking(model, max_tokens=self.answer_cap(resolved, options))
        if options.use_web_grounding:
            self.driver.asker.grounding.require(model_searches=model.profile.searches)
        decided = self._decided(resolved, options)
        found: Sequence[Found] = ()
        if model.model_type is ModelType.TEXT:
            found = await self.driver.gatherer.gather(
                actor.owner_id,
                conversation_id=None if conversation is None else conversation.id,
                question=question,
                uses_rag=bool(decided.use_rag),
            )
        return Order(
            resolved=resolved,
            options=options,
            model=choice.model,
            asked_model=choice.asked_model,
            found=found,
            cites=bool(decided.use_rag or decided.use_web_grounding),
            searches_web=bool(decided.use_web_grounding) and model.model_type is ModelType.TEXT,
            thinks=bool(decided.use_extended_thinking),
        )

    async def _manner(self, conversation: Conversation | None) -> Manner:
        if conversation is None:
            return Manner()
        async with self.driver.db.read() as tx:
            return await tx.conversations.manner(conversation.id)

    def _decided(self, resolved: ResolvedModel, asked: Options) -> Options:
        """Return options without a flag that is None: off, but the demo shows all that there is."""
        off = Options(use_rag=False, use_web_grounding=False, use_extended_thinking=False)
        if resolved.provider.id != DEMO:
            return _with_flags(asked, off)
        on = Options(
            use_rag=True,
            use_web_grounding=self.driver.asker.grounding.has_engine,
            use_extended_thinking=resolved.model.profile.thinks,
        )
        return _with_flags(asked, on)

    async def begin(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        order: Order,
        *,
        context: Sequence[Turn] | None = None,
    ) -> Start:
        """Store the record, the hidden answer as the active leaf, and the reservation (last).

        The caller holds the conversation. A `context`, which ends with the question, is sent in
        place of the history. Raises `InvalidInput` where the question is too long for the model,
        `QuotaExceeded` where a limit leaves no room.
        """
        at = self.clock()
        resolved, options = order.resolved, order.options
        prompt = await self._prompt(tx, conversation, question, order, context=context)
        asked_model = order.asked_model
        if asked_model is None and resolved.model.name == conversation.model and not order.model:
            asked_model = conversation.asked_model  # it goes on under the name it began with
        if conversation.active_message_id != question.id:
            await tx.messages.leave_branch(conversation.id, after_id=question.id)
        answer = await tx.messages.insert(
            uuid=new_uuid(),
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.id,
            role="assistant",
            text="",
            model=resolved.model.name,
            asked_model=asked_model,
            is_hidden=True,
            at=at,
        )
        await tx.conversations.move_leaf(
            conversation.id,
            leaf_id=answer.id,
            model=resolved.model.name if order.model else None,
            asked_model=order.asked_model,
            at=at,
        )
        granted = await grant(
            tx,
            conversation.owner_id,
            resolved.model,
            prompt_tokens=prompt.reserved_prompt_tokens,
            max_tokens=prompt.max_tokens,
            least_tokens=order.least_tokens,
            images=order.images,
            at=at,
        )
        cap = prompt.max_tokens
        prompt = under_cap(prompt, granted.max_tokens)
        generation = await tx.generations.start(
            uuid=new_uuid(),
            owner_id=conversation.owner_id,
            conversation_id=conversation.id,
            message_id=question.id,
            answer_id=answer.id,
            model=resolved.model.name,
            worker=self.driver.place(),
            options=options,
            recipe=Recipe(
                leaf_id=question.id,
                prompt_tokens=prompt.prompt_tokens,
                max_tokens=prompt.max_tokens,
                cap=cap,
                context=None if context is None else tuple(context),
                sources=tuple(found.source for found in prompt.found),
                thinking_tokens=prompt.thinking_tokens,
                room_tokens=prompt.room_tokens,
                searches_web=prompt.searches_web,
                cites=prompt.cites,
            ),
            terms=granted.terms,
            at=at,
        )
        await reserve(tx, granted, generation_id=generation.id)
        return Start(generation, prompt)

    async def make_way(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        order: Order,
    ) -> list[int]:
        """Ask for an end of what answers a question, or runs below it: a new run takes its place.

        Return the runs, for `Driver.cancel`. Raises as `begin` will, and then nothing is stopped:
        what is held for them counts as free, since they will have given it back by then.
        """
        at = self.clock()
        live = await request_cancels(tx, conversation.id, from_message_id=question.id, at=at)
        if live:
            prompt = await self._prompt(tx, conversation, question, order)
            held = await tx.usage.held(owner_id=conversation.owner_id)
            # Their messages stay counted: a canceled answer is one.
            freed = total(
                replace(each.amounts, messages=0, free_messages=0)
                for each in held
                if each.generation_id in live
            )
            await grant(
                tx,
                conversation.owner_id,
                order.resolved.model,
                prompt_tokens=prompt.reserved_prompt_tokens,
                max_tokens=prompt.max_tokens,
                least_tokens=order.least_tokens,
                images=order.images,
                freed=freed,
                at=at,
            )
        return live

    def launch(self, start: Start) -> None:
        """Begin a run whose record is durable; returns at once."""
        self.driver.launch(start.generation, start.prompt)
        if self.on_launch is not None:
            self.on_launch(start.generation)

    def prompt_of(self, turns: Sequence[Turn], order: Order) -> Prompt:
        """Return what a call sends that no conversation keeps. Raises `InvalidInput`."""
        prompt = prompt_of(
            turns,
            resolved=order.resolved,
            max_tokens=self.answer_cap(order.resolved, order.options),
            found=order.found,
            cites=order.cites,
            room_tokens=self.driver.asker.room_tokens if order.searches_web else 0,
        )
        return _checked(prompt, order)

    async def _prompt(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        order: Order,
        *,
        context: Sequence[Turn] | None = None,
    ) -> Prompt:
        prompt = await build_prompt(
            tx,
            conversation,
            question,
            resolved=order.resolved,
            max_tokens=self.answer_cap(order.resolved, order.options),
            found=order.found,
            cites=order.cites,
            room_tokens=self.driver.asker.room_tokens if order.searches_web else 0,
            context=context,
        )
        return _checked(prompt, order)

    def answer_cap(self, resolved: ResolvedModel, options: Options) -> int:
        """Return the most tokens that an answer may have: of request, model and our default."""
        named = [options.max_tokens, resolved.model.profile.max_answer_tokens]
        return min((cap for cap in named if cap is not None), default=self.max_answer_tokens)


def _checked(prompt: Prompt, order: Order) -> Prompt:
    """Return a prompt that thinks and searches as ordered.

    Raises `InvalidInput` where it leaves too little room for thinking that was asked for.
    """
    if order.options.use_extended_thinking:
        check_thinking(order.resolved.model, max_tokens=prompt.max_tokens)
    prompt = replace(prompt, searches_web=order.searches_web, thinks=order.thinks)
    return under_cap(prompt, prompt.max_tokens)


def _flags(options: Options) -> tuple[bool | None, bool | None, bool | None]:
    return options.use_rag, options.use_web_grounding, options.use_extended_thinking


def _with_flags(options: Options, others: Options) -> Options:
    """Return options with the flags of others where they have none."""
    rag, web, thinking = (
        other if own is None else own
        for own, other in zip(_flags(options), _flags(others), strict=True)
    )
    return replace(options, use_rag=rag, use_web_grounding=web, use_extended_thinking=thinking)
