"""A transaction as a service sees it: the stores, each a stateless face over the connection."""

from palaver.storage.audit import AuditStore
from palaver.storage.connection import Connection
from palaver.storage.conversations import ConversationStore
from palaver.storage.events import EventStore
from palaver.storage.facts import FactStore
from palaver.storage.failures import FailureStore
from palaver.storage.generations import GenerationStore
from palaver.storage.idempotency import IdempotencyStore
from palaver.storage.invites import InviteStore
from palaver.storage.jobs import JobStore
from palaver.storage.messages import MessageStore
from palaver.storage.models import ModelStore
from palaver.storage.origins import OriginStore
from palaver.storage.purge import PurgeStore
from palaver.storage.search import SearchStore
from palaver.storage.sessions import SessionStore
from palaver.storage.usage import UsageStore
from palaver.storage.users import UserStore


class Tx:
    """The stores of one transaction (or one read): `tx.users.get(…)`."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def users(self) -> UserStore:
        """Accounts."""
        return UserStore(self.connection)

    @property
    def sessions(self) -> SessionStore:
        """Sign-ins."""
        return SessionStore(self.connection)

    @property
    def origins(self) -> OriginStore:
        """Where users sign in from."""
        return OriginStore(self.connection)

    @property
    def failures(self) -> FailureStore:
        """Failed sign-ins."""
        return FailureStore(self.connection)

    @property
    def invites(self) -> InviteStore:
        """Codes that let somebody register."""
        return InviteStore(self.connection)

    @property
    def audit(self) -> AuditStore:
        """The audit log."""
        return AuditStore(self.connection)

    @property
    def facts(self) -> FactStore:
        """Facts about the installation."""
        return FactStore(self.connection)

    @property
    def conversations(self) -> ConversationStore:
        return ConversationStore(self.connection)

    @property
    def messages(self) -> MessageStore:
        return MessageStore(self.connection)

    @property
    def generations(self) -> GenerationStore:
        return GenerationStore(self.connection)

    @property
    def usage(self) -> UsageStore:
        return UsageStore(self.connection)

    @property
    def search(self) -> SearchStore:
        """What changed since it was indexed, and what can be found."""
        return SearchStore(self.connection)

    @property
    def models(self) -> ModelStore:
        """The registry."""
        return ModelStore(self.connection)

    @property
    def jobs(self) -> JobStore:
        """Background work."""
        return JobStore(self.connection)

    @property
    def idempotency(self) -> IdempotencyStore:
        """Keys of requests that may come twice."""
        return IdempotencyStore(self.connection)

    @property
    def purge(self) -> PurgeStore:
        """What is removed for good."""
        return PurgeStore(self.connection)

    @property
    def log(self) -> EventStore:
        """What runs have said."""
        return EventStore(self.connection)
