"""The composition root: the only module that knows every other, and how they fit together."""

import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final
from urllib.parse import quote

from starlette.types import ASGIApp

from palaver import __version__
from palaver.config import Settings, bootstrap_token, secret_key
from palaver.config.providers import SETTINGS as PROVIDER_SETTINGS
from palaver.dialects import DIALECTS
from palaver.domain.accounts import AccountPolicy, RegistrationMode, SecondFactorDuty
from palaver.domain.documents import DocumentCaps
from palaver.domain.embedders import Embedder
from palaver.domain.extraction import Extractor
from palaver.domain.identity_providers import LinkByEmail, SingleSignOn
from palaver.domain.passwords import PasswordPolicy
from palaver.domain.providers import Provider
from palaver.domain.rates import RateLimits
from palaver.domain.usage import MICRO
from palaver.domain.users import SYSTEM
from palaver.jobs import build as build_jobs
from palaver.kit.clock import Clock, system_clock
from palaver.outbound.embedders import build as build_embedder
from palaver.outbound.extractor import Limits as Reading
from palaver.outbound.extractor import build as build_extractor
from palaver.outbound.gate import Gate
from palaver.outbound.oidc import build as build_identity_provider
from palaver.outbound.pages import LIMITS as PAGE_LIMITS
from palaver.outbound.pages import PageReader
from palaver.outbound.web_search import build as build_search
from palaver.outbound.webhooks import GatedSender
from palaver.providers import build as build_provider
from palaver.services import identity
from palaver.services.aliases import AliasService
from palaver.services.asking import Asker
from palaver.services.branches import BranchService
from palaver.services.calls import CallService
from palaver.services.chatbots import ChatbotService
from palaver.services.completions import CompletionService
from palaver.services.conversations import ConversationService
from palaver.services.deliveries import DeliveryService
from palaver.services.documents import DocumentService
from palaver.services.driver import Driver
from palaver.services.embedding import EmbeddingService
from palaver.services.erasure import ErasureService
from palaver.services.exchanges import ExchangeService
from palaver.services.gathering import Gatherer
from palaver.services.generations import GenerationService
from palaver.services.grounding import GroundingService
from palaver.services.health import HealthService
from palaver.services.idempotency import IdempotencyService
from palaver.services.ingestion import IngestionService
from palaver.services.jobs import JobService
from palaver.services.ledger import LedgerService
from palaver.services.live import LiveService, Waiting
from palaver.services.memories import MemoryService
from palaver.services.memory_extraction import MemoryExtractionService
from palaver.services.metrics import Meters, MetricsService
from palaver.services.models import DEMO, ModelService
from palaver.services.options import OptionService
from palaver.services.pictures import PictureService
from palaver.services.plans import PlanService
from palaver.services.portraits import PortraitService
from palaver.services.purge import PurgeService
from palaver.services.rates import RateService
from palaver.services.readers import ReaderService
from palaver.services.registry import RegistryService
from palaver.services.retrieval import RetrievalService
from palaver.services.sealing import Sealer
from palaver.services.search import SearchService
from palaver.services.services import Services
from palaver.services.single_sign_on import SingleSignOnService
from palaver.services.sources import SourceService
from palaver.services.starting import Starter
from palaver.services.subscriptions import SubscriptionService
from palaver.services.titles import TitleService
from palaver.services.usage import UsageService
from palaver.services.webhooks import WebhookService
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.log import DatabaseLog
from palaver.storage.migrate import migrate
from palaver.storage.opening import open_database
from palaver.storage.process_lock import sole_process
from palaver.storage.statements import Engine
from palaver.streaming.runs import Runs
from palaver.ui import PAGES
from palaver.web.answers import HEADERS
from palaver.web.app import Application
from palaver.web.cors import Cors
from palaver.web.server import serve as serve_http
from palaver.web.settings import WebSettings

WEBHOOK_SECRETS: Final = "webhooks"  # what their secrets are sealed for
HSTS: Final = {
    "off": "",
    "host": "max-age=63072000",
    "subdomains": "max-age=63072000; includeSubDomains",
}
DRAIN_SECONDS: Final = 5.0
"""How long running answers may take to end when the server stops; the rest is handed over."""


@dataclass(frozen=True, slots=True)
class House:
    """What runs in one process, put together."""

    settings: Settings
    db: Database
    runs: Runs
    services: Services
    app: ASGIApp


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    providers: dict[str, Provider] | None = None,
    extractor: Extractor | None = None,
    embedder: Embedder | None = None,
) -> AsyncIterator[House]:
    """Open the database, bring it up to date, and start what runs in the background.

    On the way out running answers are handed over, and everything is closed. Raises
    `ConfigError`, `DatabaseError`.
    """
    policy = account_policy(settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(sole_process(settings.database))
        db = await open_database(settings.database)
        stack.push_async_callback(db.close)
        await migrate(db)
        if providers is None:
            providers = {given.id: build_provider(given) for given in settings.providers}
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        models = ModelService(
            db,
            providers,
            clock=clock,
            default_model=settings.default_model,
            new_models_hidden=settings.new_models == "hidden",
        )
        stack.push_async_callback(models.close)
        runs = Runs(DatabaseLog(db), clock=clock, is_alone=db.engine is Engine.SQLITE)
        if embedder is None and settings.embedder is not None:
            embedder = build_embedder(settings.embedder)
        embedding = EmbeddingService(db, embedder, clock=clock)
        stack.push_async_callback(embedding.close)
        finder = RetrievalService(db, embedder)
        stack.push_async_callback(finder.close)
        finder.on_embedded = embedding.costs.charge_question
        memories = MemoryService(db, finder, clock=clock, per_user=settings.memories_per_user)
        gatherer = Gatherer(db, memories, finder)
        # Three, that share no queue: for pictures and pages somebody waits, and documents may take
        # minutes. No page is so large that it would wait for another.
        picture_extractor = extractor or build_extractor()
        page_extractor = extractor or build_extractor(Reading(large_bytes=PAGE_LIMITS.max_bytes))
        extractor = extractor or build_extractor()
        for each in (picture_extractor, page_extractor, extractor):
            stack.push_async_callback(each.close)
        gate = Gate([ip_network(given) for given in settings.outbound_allow_networks])
        stack.push_async_callback(gate.close)
        grounding = grounding_service(settings, db, PageReader(gate, page_extractor), clock=clock)
        stack.push_async_callback(grounding.close)
        chatbots = ChatbotService(db, clock=clock)
        pictures = PictureService(
            db, Files(settings.data_dir / "images"), picture_extractor, clock=clock
        )
        asker = Asker(grounding, pictures)
        driver = Driver(db, runs, models, gatherer, asker, clock=clock)
        runs.on_claim = driver.take_over
        starter = Starter(driver, models, clock=clock, max_answer_tokens=settings.max_answer_tokens)
        waiting = Waiting()
        starter.on_launch = waiting.tell
        generations = GenerationService(db, driver, starter, clock=clock)
        people = identity.build(db, policy, clock=clock)
        stack.callback(people.passwords.close)
        single_sign_on = SingleSignOnService(
            db,
            [build_identity_provider(given, clock=clock) for given in settings.identity_providers],
            policy=policy,
            settings=SingleSignOn(
                redirects=frozenset(settings.sso_redirects),
                link_by_email=LinkByEmail(settings.sso_link_by_email),
            ),
            openings=people.sessions.openings,
            throttle=people.registrations.throttle,
            clock=clock,
        )
        stack.push_async_callback(single_sign_on.close)
        calls = CallService(db, asker, clock=clock)
        stack.push_async_callback(calls.close)
        completions = CompletionService(calls, starter)
        stack.push_async_callback(completions.close)
        search = SearchService(db)
        files = Files(settings.data_dir / "documents")
        ingestion = IngestionService(db, files, extractor, clock=clock)
        conversations = ConversationService(db, driver, clock=clock)
        documents = DocumentService(
            db,
            files,
            caps=DocumentCaps(settings.documents_per_user, settings.documents_bytes_per_user),
            on_waiting=ingestion.lanes.tell,
            clock=clock,
        )
        sender = webhook_sender(settings)
        stack.push_async_callback(sender.close)
        sealer = Sealer(policy.secret_key, WEBHOOK_SECRETS)
        deliveries = DeliveryService(
            db,
            sender,
            sealer,
            tells_administration_texts=settings.webhook_admin_text,
            kept_days=settings.webhook_log_days,
            clock=clock,
        )
        meters = Meters()
        driver.on_ended = meters.count_generation
        calls.on_failed, calls.on_settled = meters.count_failure, meters.count_tokens
        services = Services(
            accounts=people.accounts,
            aliases=alias_service(settings, models),
            api_keys=people.api_keys,
            audit=people.audit,
            branches=BranchService(db),
            calls=calls,
            chatbots=chatbots,
            completions=completions,
            conversations=conversations,
            deliveries=deliveries,
            documents=documents,
            erasure=ErasureService(
                db, conversations=conversations, documents=documents, memories=memories
            ),
            exchanges=ExchangeService(db, driver, clock=clock),
            generations=generations,
            health=HealthService(db),
            idempotency=IdempotencyService(db, clock=clock),
            invites=people.invites,
            ledger=LedgerService(db, clock=clock),
            live=LiveService(db, generations, waiting),
            memories=memories,
            memory_extraction=MemoryExtractionService(
                db, models, calls, finder, clock=clock, per_user=settings.memories_per_user
            ),
            metrics=MetricsService(db, meters, runs.__len__, clock=clock),
            models=models,
            options=OptionService(db, models, asker),
            password_resets=people.password_resets,
            pictures=pictures,
            plans=PlanService(db, clock=clock),
            portraits=PortraitService(
                db, Files(settings.data_dir / "chatbot_images"), picture_extractor, chatbots
            ),
            rates=RateService(
                db,
                RateLimits(settings.rate_limit_per_minute, settings.rate_limit_per_hour),
                clock=clock,
            ),
            readers=ReaderService(db),
            registrations=people.registrations,
            registry=RegistryService(
                db, models.registry, provider_ids=tuple(providers), clock=clock
            ),
            retrieval=finder,
            search=search,
            second_factor=people.second_factor,
            sessions=people.sessions,
            single_sign_on=single_sign_on,
            sources=SourceService(db),
            subscriptions=SubscriptionService(db, clock=clock),
            titles=TitleService(db, models, calls, clock=clock),
            usage=UsageService(db),
            webhooks=WebhookService(db, sender, sealer, clock=clock),
        )
        await runs.start()
        stack.push_async_callback(runs.close)
        background = build_jobs(
            services,
            JobService(db, clock=clock),
            PurgeService(db, clock=clock),
            ingestion,
            embedding,
        )
        await ingestion.begin(SYSTEM)
        await deliveries.begin(SYSTEM)
        background.start()
        stack.push_async_callback(background.close)
        yield House(settings, db, runs, services, application(settings, services))


def grounding_service(
    settings: Settings, db: Database, pages: PageReader, *, clock: Clock
) -> GroundingService:
    """Return what searches the web, by the engine that is set up, if there is one."""
    engine = settings.search_engine
    return GroundingService(
        db,
        None if engine is None else build_search(engine),
        pages,
        is_off=settings.web_search == "off",
        cost_micro_usd=round(settings.web_search_cost_usd * MICRO),
        clock=clock,
    )


def webhook_sender(settings: Settings) -> GatedSender:
    """Return what sends webhooks, by a gate of its own: no page waits for its connections.

    Many endpoints are on one host, and none waits for another's: `DeliveryService` bounds them.
    """
    allowed = [ip_network(given) for given in settings.outbound_allow_networks]
    return GatedSender(Gate(allowed, connections_per_host=0))


def application(settings: Settings, services: Services) -> ASGIApp:
    """Return what answers HTTP: every contract behind one matcher."""
    app: ASGIApp = Application(
        DIALECTS,
        services,
        WebSettings(
            public_url=settings.public_url,
            cookies_cross_site=settings.cookies_cross_site,
            allowed_origins=settings.cors_origins,
            metrics_allow=tuple(map(ip_network, settings.metrics_allow)),
            hsts=HSTS[settings.hsts],
            version=__version__,
        ),
        fallback=PAGES,
    )
    if settings.cors_origins:
        app = Cors(
            app,
            allow_origins=list(settings.cors_origins),
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=[*HEADERS, *(name for each in DIALECTS for name in each.headers)],
        )
    return app


def alias_service(settings: Settings, models: ModelService) -> AliasService:
    """Return what knows other names of models."""
    return AliasService(
        models,
        configured=[
            given.id for given in settings.providers if not given.is_local and given.id != DEMO
        ],
        given=dict(alias.split("=", 1) for alias in settings.model_aliases),
        settings=PROVIDER_SETTINGS,
    )


def account_policy(settings: Settings) -> AccountPolicy:
    """Return what the settings say about accounts; makes the secrets that are kept."""
    return AccountPolicy(
        secret_key=secret_key(settings),
        registration=RegistrationMode(settings.registration),
        password_policy=PasswordPolicy(settings.password_policy),
        second_factor=SecondFactorDuty(settings.require_second_factor),
        session_lifetime_seconds=settings.session_lifetime_seconds,
        attempts_per_minute=settings.login_attempts_per_minute,
        bootstrap_token=bootstrap_token(settings) or "",
    )


async def serve(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Serve until told to stop; `say` gets the lines that a person should see.

    Raises `ConfigError`, `DatabaseError`, `OSError` (the address cannot be had).
    """
    async with opened(settings) as house:
        token = bootstrap_token(settings)
        is_new = not await house.services.registrations.has_administrator(SYSTEM)

        def on_ready(address: str) -> None:
            say(f"Palaver {__version__} serves {settings.public_url or address}")
            if is_new and token:
                say("There is no administrator yet. Set one up, once, at")
                say(f"  {settings.public_url or address}/app/setup?token={quote(token, safe='')}")

        async def before_stop() -> None:
            house.services.live.waiting.close()
            await house.runs.drain(grace_seconds=DRAIN_SECONDS)

        _calm_the_collector()
        await serve_http(
            house.app,
            host=settings.host,
            port=settings.port,
            trusted_proxies=settings.trusted_proxies,
            on_ready=on_ready,
            before_stop=before_stop,
        )


def _calm_the_collector() -> None:
    """Let the garbage collector look seldom, and never again at what stays for good.

    A token makes and drops a dozen containers and leaves no cycle behind: with Python's threshold
    of 700 the collector took 7 % of the CPU of 500 streams. A start leaves two hundred that live
    on: with a threshold of 20,000 each hundred starts stopped everything for 5 to 17 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 50, 50)
