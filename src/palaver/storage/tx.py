"""A transaction as a service sees it: the stores, each a stateless face over the connection."""

from palaver.storage.api_keys import ApiKeyStore
from palaver.storage.audit import AuditStore
from palaver.storage.chatbots import ChatbotStore
from palaver.storage.chunks import ChunkStore
from palaver.storage.connection import Connection
from palaver.storage.conversation_usage import ConversationUsageStore
from palaver.storage.conversations import ConversationStore
from palaver.storage.deliveries import DeliveryStore
from palaver.storage.documents import DocumentStore
from palaver.storage.embeddings import EmbeddingStore
from palaver.storage.events import EventStore
from palaver.storage.exchange_codes import ExchangeCodeStore
from palaver.storage.exchanges import ExchangeStore
from palaver.storage.external_identities import ExternalIdentityStore
from palaver.storage.facts import FactStore
from palaver.storage.failures import FailureStore
from palaver.storage.generations import GenerationStore
from palaver.storage.idempotency import IdempotencyStore
from palaver.storage.invites import InviteStore
from palaver.storage.jobs import JobStore
from palaver.storage.login_states import LoginStateStore
from palaver.storage.memories import MemoryStore
from palaver.storage.messages import MessageStore
from palaver.storage.models import ModelStore
from palaver.storage.origins import OriginStore
from palaver.storage.outbox import OutboxStore
from palaver.storage.password_resets import PasswordResetStore
from palaver.storage.pictures import PictureStore
from palaver.storage.plans import PlanStore
from palaver.storage.postings import PostingStore
from palaver.storage.purge import PurgeStore
from palaver.storage.rates import RateStore
from palaver.storage.readings import ReadingStore
from palaver.storage.search import SearchStore
from palaver.storage.second_factors import SecondFactorStore
from palaver.storage.sessions import SessionStore
from palaver.storage.subscriptions import SubscriptionStore
from palaver.storage.usage import UsageStore
from palaver.storage.users import UserStore
from palaver.storage.vectors import VectorStore
from palaver.storage.webhooks import WebhookStore


class Tx:
    """The stores of one transaction (or one read): `tx.users.get(…)`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def users(self) -> UserStore:
        """Accounts."""
        return UserStore(self._connection)

    @property
    def sessions(self) -> SessionStore:
        """Sign-ins."""
        return SessionStore(self._connection)

    @property
    def api_keys(self) -> ApiKeyStore:
        """The keys of programs."""
        return ApiKeyStore(self._connection)

    @property
    def second_factors(self) -> SecondFactorStore:
        """What signing in takes beside the password."""
        return SecondFactorStore(self._connection)

    @property
    def password_resets(self) -> PasswordResetStore:
        """Links that reset a password."""
        return PasswordResetStore(self._connection)

    @property
    def origins(self) -> OriginStore:
        """Where users sign in from."""
        return OriginStore(self._connection)

    @property
    def failures(self) -> FailureStore:
        """Failed sign-ins."""
        return FailureStore(self._connection)

    @property
    def external_identities(self) -> ExternalIdentityStore:
        """Who is whom at identity providers."""
        return ExternalIdentityStore(self._connection)

    @property
    def login_states(self) -> LoginStateStore:
        """Who is on the way to an identity provider."""
        return LoginStateStore(self._connection)

    @property
    def exchange_codes(self) -> ExchangeCodeStore:
        """What those who came back can change for tokens."""
        return ExchangeCodeStore(self._connection)

    @property
    def invites(self) -> InviteStore:
        """Codes that let somebody register."""
        return InviteStore(self._connection)

    @property
    def audit(self) -> AuditStore:
        """The audit log."""
        return AuditStore(self._connection)

    @property
    def facts(self) -> FactStore:
        """Facts about the installation."""
        return FactStore(self._connection)

    @property
    def conversations(self) -> ConversationStore:
        return ConversationStore(self._connection)

    @property
    def messages(self) -> MessageStore:
        return MessageStore(self._connection)

    @property
    def memories(self) -> MemoryStore:
        """What is kept about people."""
        return MemoryStore(self._connection)

    @property
    def exchanges(self) -> ExchangeStore:
        """Questions with their answers."""
        return ExchangeStore(self._connection)

    @property
    def generations(self) -> GenerationStore:
        return GenerationStore(self._connection)

    @property
    def chatbots(self) -> ChatbotStore:
        """Personas on offer."""
        return ChatbotStore(self._connection)

    @property
    def plans(self) -> PlanStore:
        """Plans, and what they hold."""
        return PlanStore(self._connection)

    @property
    def subscriptions(self) -> SubscriptionStore:
        """Who is on which plan, and how long."""
        return SubscriptionStore(self._connection)

    @property
    def usage(self) -> UsageStore:
        return UsageStore(self._connection)

    @property
    def conversation_usage(self) -> ConversationUsageStore:
        """What each conversation has used."""
        return ConversationUsageStore(self._connection)

    @property
    def rates(self) -> RateStore:
        """How many requests somebody has made."""
        return RateStore(self._connection)

    @property
    def documents(self) -> DocumentStore:
        return DocumentStore(self._connection)

    @property
    def chunks(self) -> ChunkStore:
        """The text of documents."""
        return ChunkStore(self._connection)

    @property
    def readings(self) -> ReadingStore:
        """Documents that wait to be read."""
        return ReadingStore(self._connection)

    @property
    def search(self) -> SearchStore:
        """What changed since it was indexed, and what can be found."""
        return SearchStore(self._connection)

    @property
    def postings(self) -> PostingStore:
        """Which memories and chunks have a word."""
        return PostingStore(self._connection)

    @property
    def vectors(self) -> VectorStore:
        """What memories and chunks mean."""
        return VectorStore(self._connection)

    @property
    def embeddings(self) -> EmbeddingStore:
        """What is embedded, and how far."""
        return EmbeddingStore(self._connection)

    @property
    def pictures(self) -> PictureStore:
        """Pictures, made and given."""
        return PictureStore(self._connection)

    @property
    def models(self) -> ModelStore:
        """The registry."""
        return ModelStore(self._connection)

    @property
    def jobs(self) -> JobStore:
        """Background work."""
        return JobStore(self._connection)

    @property
    def webhooks(self) -> WebhookStore:
        """Addresses that are told what happened."""
        return WebhookStore(self._connection)

    @property
    def outbox(self) -> OutboxStore:
        """What they are to be told."""
        return OutboxStore(self._connection)

    @property
    def deliveries(self) -> DeliveryStore:
        """What they were told."""
        return DeliveryStore(self._connection)

    @property
    def idempotency(self) -> IdempotencyStore:
        """Keys of requests that may come twice."""
        return IdempotencyStore(self._connection)

    @property
    def purge(self) -> PurgeStore:
        """What is removed for good."""
        return PurgeStore(self._connection)

    @property
    def log(self) -> EventStore:
        """What runs have said."""
        return EventStore(self._connection)


def connection_of(tx: Tx) -> Connection:
    """Return what the stores of a transaction stand on; for `storage` alone."""
    return tx._connection  # what a service could reach, it would use
