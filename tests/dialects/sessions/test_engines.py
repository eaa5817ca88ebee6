"""The way through the contract's API, on both databases."""

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.cast import PASSWORD
from tests.dialects.sessions.helpers import AUTH, SESSIONS, bearing
from tests.http import Palaver


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """Give settings with a database of either engine."""
    return structs.replace(settings, database_url=database_url)


async def test_from_register_to_logout(palaver: Palaver) -> None:
    somebody = palaver.visitor()
    account = {"username": "Zoë", "email": "zoe@example.com"}
    secret = {"password": PASSWORD, "confirm_password": PASSWORD}
    tokens = (await somebody.post(f"{AUTH}/register/", account | secret)).json
    headers = bearing(tokens["access"])
    session = (await somebody.post(SESSIONS, {"title": "Straße 😀"}, headers=headers)).json
    path = f"{SESSIONS}{session['id']}/"
    chats = []
    for message in ("One?", "Two? 😀", "Three?"):
        answer = await somebody.post(f"{path}chats/", {"message": message}, headers=headers)
        assert answer.status == 201
        chats.append(answer.json)
    assert (await somebody.delete(f"{path}chats/{chats[1]['id']}/", headers=headers)).status == 204
    kept = [chats[0], chats[2]]
    listed = (await somebody.get(f"{path}chats/", headers=headers)).json
    assert (listed["count"], listed["results"]) == (2, kept)
    renamed = (await somebody.patch(path, {"title": "New Chat"}, headers=headers)).json
    assert renamed == session | {"title": "New Chat", "chats": kept, "last_message": kept[-1]}
    page = (await somebody.get(SESSIONS, headers=headers)).json
    assert (page["count"], page["results"]) == (1, [renamed])
    assert (await somebody.delete(path, headers=headers)).status == 204
    assert (await somebody.get(SESSIONS, headers=headers)).json["count"] == 0
    refresh = {"refresh": tokens["refresh"]}
    assert (await somebody.post(f"{AUTH}/logout/", refresh, headers=headers)).status == 200
    assert (await somebody.get(SESSIONS, headers=headers)).status == 401
