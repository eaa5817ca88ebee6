"""`palaver webhook list|test|redeliver`."""

import argparse
from datetime import datetime

from palaver.commands.database import database
from palaver.commands.lists import every
from palaver.config import load, secret_key
from palaver.dialects.native.admin_wire import parse_time
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.users import SYSTEM, Actor
from palaver.main import WEBHOOK_SECRETS, webhook_sender
from palaver.services.deliveries import DeliveryService
from palaver.services.sealing import Sealer
from palaver.services.webhooks import WebhookService


async def webhook(arguments: argparse.Namespace) -> int:
    """Run the verb on the database of the settings, beside a server that may be running."""
    settings = load()
    async with database(settings) as db:
        sender = webhook_sender(settings)
        sealer = Sealer(secret_key(settings), WEBHOOK_SECRETS)
        webhooks = WebhookService(db, sender, sealer)
        try:
            match arguments.verb:
                case "list":
                    await _list(webhooks)
                case "test":
                    return await _test(DeliveryService(db, sender, sealer), arguments.webhook)
                case _:
                    await _redeliver(webhooks, arguments)
        finally:
            await sender.close()
    return 0


async def _list(webhooks: WebhookService) -> None:
    print(f"{'id':<36}  {'of':<8}  {'state':<8}  url")
    async for endpoint in every(webhooks.every):
        owner = "admin" if endpoint.owner_id is None else f"user {endpoint.owner_id}"
        state = "off" if not endpoint.is_active else "fails" if endpoint.failing_since else "active"
        reason = f"  ({endpoint.disabled_reason})" if endpoint.disabled_reason else ""
        print(f"{endpoint.uuid}  {owner:<8}  {state:<8}  {endpoint.url}{reason}")


async def _test(deliveries: DeliveryService, uuid: str) -> int:
    endpoint, attempt = await deliveries.test(SYSTEM, uuid)
    if attempt.error is None:
        print(f"{endpoint.url} answered {attempt.status} in {attempt.duration_ms} ms.")
        return 0
    print(f"{endpoint.url} failed after {attempt.duration_ms} ms: {attempt.error}")
    if attempt.answer:
        print(attempt.answer)
    return 1


async def _redeliver(webhooks: WebhookService, arguments: argparse.Namespace) -> None:
    endpoint = await webhooks.get_any(SYSTEM, arguments.webhook)
    actor = Actor(user_id=endpoint.owner_id) if endpoint.owner_id is not None else SYSTEM
    is_ours = endpoint.owner_id is None
    if arguments.delivery is not None:
        await webhooks.redeliver(
            actor, endpoint.uuid, arguments.delivery, of_administration=is_ours
        )
        count = 1
    elif arguments.since is not None:
        count = await webhooks.redeliver_since(
            actor,
            endpoint.uuid,
            since=_instant(arguments.since),
            failed_only=arguments.failed_only,
            of_administration=is_ours,
        )
    else:
        message = "Name a delivery, or say --since when."
        raise DomainError(message, kind=ErrorKind.INVALID_INPUT)
    print(f"{count} of {endpoint.url} are sent again, by the server that runs.")


def _instant(text: str) -> int:
    try:
        return parse_time(datetime.fromisoformat(text)) or 0
    except ValueError:
        message = "Write a time as in 2026-01-15T10:30:00Z."
        raise InvalidInput.of("since", Fault.WRONG_FORMAT, message) from None
