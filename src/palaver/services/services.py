"""The verbs of the whole house, as a handler finds them: `call.services.conversations`."""

from dataclasses import dataclass

from palaver.services.accounts import AccountService
from palaver.services.aliases import AliasService
from palaver.services.api_keys import ApiKeyService
from palaver.services.audit import AuditService
from palaver.services.branches import BranchService
from palaver.services.calls import CallService
from palaver.services.chatbots import ChatbotService
from palaver.services.completions import CompletionService
from palaver.services.conversations import ConversationService
from palaver.services.deliveries import DeliveryService
from palaver.services.documents import DocumentService
from palaver.services.erasure import ErasureService
from palaver.services.exchanges import ExchangeService
from palaver.services.generations import GenerationService
from palaver.services.health import HealthService
from palaver.services.idempotency import IdempotencyService
from palaver.services.invites import InviteService
from palaver.services.ledger import LedgerService
from palaver.services.live import LiveService
from palaver.services.memories import MemoryService
from palaver.services.memory_extraction import MemoryExtractionService
from palaver.services.metrics import MetricsService
from palaver.services.models import ModelService
from palaver.services.options import OptionService
from palaver.services.password_resets import PasswordResetService
from palaver.services.pictures import PictureService
from palaver.services.plans import PlanService
from palaver.services.portraits import PortraitService
from palaver.services.rates import RateService
from palaver.services.readers import ReaderService
from palaver.services.registrations import RegistrationService
from palaver.services.registry import RegistryService
from palaver.services.retrieval import RetrievalService
from palaver.services.search import SearchService
from palaver.services.second_factor import SecondFactorService
from palaver.services.sessions import SessionService
from palaver.services.single_sign_on import SingleSignOnService
from palaver.services.sources import SourceService
from palaver.services.subscriptions import SubscriptionService
from palaver.services.titles import TitleService
from palaver.services.usage import UsageService
from palaver.services.webhooks import WebhookService


@dataclass(frozen=True, slots=True)
class Services:
    """One of each; `main` makes them."""

    accounts: AccountService
    aliases: AliasService
    api_keys: ApiKeyService
    audit: AuditService
    branches: BranchService
    calls: CallService
    chatbots: ChatbotService
    completions: CompletionService
    conversations: ConversationService
    deliveries: DeliveryService
    documents: DocumentService
    erasure: ErasureService
    exchanges: ExchangeService
    generations: GenerationService
    health: HealthService
    idempotency: IdempotencyService
    invites: InviteService
    ledger: LedgerService
    live: LiveService
    memories: MemoryService
    memory_extraction: MemoryExtractionService
    metrics: MetricsService
    models: ModelService
    options: OptionService
    password_resets: PasswordResetService
    pictures: PictureService
    plans: PlanService
    portraits: PortraitService
    rates: RateService
    readers: ReaderService
    registrations: RegistrationService
    registry: RegistryService
    retrieval: RetrievalService
    search: SearchService
    second_factor: SecondFactorService
    sessions: SessionService
    single_sign_on: SingleSignOnService
    sources: SourceService
    subscriptions: SubscriptionService
    titles: TitleService
    usage: UsageService
    webhooks: WebhookService
