"""Starting a run: the one place that every way of asking comes through.

What can be refused is refused here, before anything is shown: by the model's context, by the plan.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from palaver.domain.conversations import Conversation, Message
from palaver.domain.generations import Generation, Options, Recipe
from palaver.domain.providers import Turn
from palaver.domain.usage import total
from palaver.domain.users import Actor
from palaver.kit.clock import Clock
from palaver.kit.ids import new_uuid
from palaver.services.driver import Driver, request_cancels
from palaver.services.ledger import grant, reserve
from palaver.services.models import ModelService, ResolvedModel
from palaver.services.prompts import Prompt, build_prompt
from palaver.storage.tx import Tx

MAX_ANSWER_TOKENS: Final = 8192


class Choice(msgspec.Struct, frozen=True):
    """Which model is asked, and how; what is None is left to the conversation and the server."""

    provider_id: str | None = None
    model: str | None = None
    options: Options = Options()
    asked_model: str | None = None  # the alias that `model` stands for


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

    async def resolve(
        self, actor: Actor, conversation: Conversation | None, choice: Choice
    ) -> ResolvedModel:
        """Return the model that a choice means. Raises `DomainError`, as `ModelService` does."""
        return await self.models.choose(
            actor,
            provider_id=choice.provider_id,
            model=choice.model,
            conversation_model=None if conversation is None else conversation.model,
        )

    async def begin(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        resolved: ResolvedModel,
        choice: Choice,
        *,
        context: Sequence[Turn] | None = None,
    ) -> Start:
        """Store the record, the hidden answer as the active leaf, and the reservation (last).

        The caller holds the conversation. A `context`, which ends with the question, is sent in
        place of the history. Raises `InvalidInput` where the question is too long for the model,
        `QuotaExceeded` where a limit leaves no room.
        """
        at = self.clock()
        prompt = await build_prompt(
            tx,
            conversation,
            question,
            resolved=resolved,
            max_tokens=self.answer_cap(resolved, choice.options),
            context=context,
        )
        asked_model = choice.asked_model
        if asked_model is None and resolved.model.name == conversation.model and not choice.model:
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
            model=resolved.model.name if choice.model else None,
            asked_model=choice.asked_model,
            at=at,
        )
        granted = await grant(
            tx,
            conversation.owner_id,
            resolved.model,
            prompt_tokens=prompt.reserved_prompt_tokens,
            max_tokens=prompt.max_tokens,
            at=at,
        )
        generation = await tx.generations.start(
            uuid=new_uuid(),
            owner_id=conversation.owner_id,
            conversation_id=conversation.id,
            message_id=question.id,
            answer_id=answer.id,
            model=resolved.model.name,
            worker=self.driver.place(),
            options=choice.options,
            recipe=Recipe(
                leaf_id=question.id,
                prompt_tokens=prompt.prompt_tokens,
                max_tokens=granted.max_tokens,
                cap=prompt.max_tokens,
                context=None if context is None else tuple(context),
            ),
            terms=granted.terms,
            at=at,
        )
        await reserve(tx, granted, generation_id=generation.id)
        return Start(generation, replace(prompt, max_tokens=granted.max_tokens))

    async def make_way(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        resolved: ResolvedModel,
        choice: Choice,
    ) -> list[int]:
        """Ask for an end of what answers a question, or runs below it: a new run takes its place.

        Return the runs, for `Driver.cancel`. Raises as `begin` will, and then nothing is stopped:
        what is held for them counts as free, since they will have given it back by then.
        """
        at = self.clock()
        live = await request_cancels(tx, conversation.id, from_message_id=question.id, at=at)
        if live:
            cap = self.answer_cap(resolved, choice.options)
            prompt = await build_prompt(
                tx, conversation, question, resolved=resolved, max_tokens=cap
            )
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
                resolved.model,
                prompt_tokens=prompt.reserved_prompt_tokens,
                max_tokens=prompt.max_tokens,
                freed=freed,
                at=at,
            )
        return live

    def launch(self, start: Start) -> None:
        """Begin a run whose record is durable; returns at once."""
        self.driver.launch(start.generation, start.prompt)
        if self.on_launch is not None:
            self.on_launch(start.generation)

    def answer_cap(self, resolved: ResolvedModel, options: Options) -> int:
        """Return the most tokens that an answer may have: of request, model and our default."""
        named = [options.max_tokens, resolved.model.profile.max_answer_tokens]
        return min((cap for cap in named if cap is not None), default=self.max_answer_tokens)
