"""Every setting: its type, its default, what it must be and what it does.

`docs/configuration.md` takes its tables from here (`make docs`).
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from palaver.domain.embedders import EmbedderSettings
from palaver.domain.identity_providers import IdentityProviderSettings
from palaver.domain.providers import ProviderSettings
from palaver.domain.web import SearchMode, WebSearchSettings

PREFIX: Final = "PALAVER_"
CONFIG_FILE: Final = "PALAVER_CONFIG"


def _value(want: str, about: str, **limits: Any) -> msgspec.Meta:
    """Describe a setting: `want` ends the sentence "PALAVER_X must be …"."""
    return msgspec.Meta(description=about, extra={"want": want}, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides; a field `x` is PALAVER_X, without the unit in its name."""

    host: Annotated[
        str, _value("an address", "Where to listen; `0.0.0.0` is every address.", min_length=1)
    ] = "127.0.0.1"
    port: Annotated[int, _value("a port from 1 to 65535", "The port.", ge=1, le=65_535)] = 8000
    public_url: Annotated[
        str | None,
        _value(
            "an origin such as https://chat.example.org",
            "How people reach the server, when a proxy stands before it.",
        ),
    ] = None
    hsts: Annotated[
        Literal["off", "host", "subdomains"],
        _value(
            "off, host or subdomains",
            "Whether browsers that have come by HTTPS never come by HTTP again, for two years "
            "(`Strict-Transport-Security`): to this host, or to all hosts below it as well.",
        ),
    ] = "host"
    trusted_proxies: Annotated[
        tuple[str, ...],
        _value(
            "addresses or networks such as 10.0.0.0/8, separated by commas",
            "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.",
        ),
    ] = ("127.0.0.1",)
    cors_origins: Annotated[
        tuple[str, ...],
        _value(
            "origins such as https://app.example.org, separated by commas",
            "Front ends on other origins that may call with credentials.",
        ),
    ] = ()
    cookies_cross_site: Annotated[
        bool,
        _value(
            "true or false",
            "Make the session cookie `SameSite=None; Secure`, for those front ends.",
        ),
    ] = False
    data_dir: Annotated[
        Path,
        _value(
            "a folder",
            "Where the database, the files of users and what Palaver makes for itself live. "
            "Several hosts on one database share it.",
        ),
    ] = Path("data")
    database_url: Annotated[
        str | None,
        _value(
            "postgresql://… or sqlite:///path",
            "The database; unset: the SQLite file `palaver.db` in the data directory.",
        ),
    ] = None
    workers: Annotated[
        int,
        _value(
            "1: this version serves from one process",
            "How many processes serve.",
            ge=1,
            le=1,
        ),
    ] = 1
    secret_key: Annotated[
        str | None,
        _value(
            "at least 32 characters, such as `openssl rand -hex 32` prints",
            "Signs tokens; unset: made once and kept in the data directory (mode 600). "
            "Several hosts on one database need the same.",
        ),
    ] = None
    bootstrap_token: Annotated[
        str | None,
        _value(
            "a text",
            "Makes the first administrator; unset: made, kept in the data directory (mode 600) "
            "and printed while there is no administrator; empty: none.",
        ),
    ] = None
    registration: Annotated[
        Literal["open", "invite", "closed"],
        _value("open, invite or closed", "Who may register: everybody, the invited, nobody."),
    ] = "open"
    password_policy: Annotated[
        Literal["standard", "strict"],
        _value(
            "standard or strict",
            "`strict` wants 15 characters and refuses common passwords; `standard` wants 8.",
        ),
    ] = "standard"  # noqa: S105 - the name of a policy
    require_second_factor: Annotated[
        Literal["off", "admins", "everybody"],
        _value(
            "off, admins or everybody",
            "Who must have a second factor: without one they can do nothing but set it up.",
        ),
    ] = "off"
    oidc_issuer: Annotated[
        str | None,
        _value(
            "an address such as https://auth.example.org/realms/main",
            "An identity provider that people may sign in with: its issuer, below which its "
            "discovery document is; the file can name several.",
        ),
    ] = None
    oidc_client_id: Annotated[
        str | None,
        _value("a text", "The id by which that provider knows Palaver."),
    ] = None
    oidc_client_secret: Annotated[
        str | None,
        _value("a text", "The secret of that id; unset: a public client."),
    ] = None
    oidc_name: Annotated[
        str | None,
        _value(
            "a text",
            "What people call it, as in “Sign in with Example”; unset: its host.",
        ),
    ] = None
    sso_redirects: Annotated[
        tuple[str, ...],
        _value(
            "addresses such as https://app.example.org/callback, separated by commas",
            "Where clients may have people sent back to after single sign-on, each exactly as "
            "it is written here; Palaver's own pages always.",
        ),
    ] = ()
    sso_link_by_email: Annotated[
        Literal["off", "verified", "all"],
        _value(
            "off, verified or all",
            "Whether a first single sign-on joins the account with the same e-mail address, which "
            "the provider must have verified: those whose address is verified here as well, or "
            "all, where nobody registers unasked.",
        ),
    ] = "off"
    login_attempts_per_minute: Annotated[
        int,
        _value(
            "a whole number from 0 to 100000",
            "Failed logins for each pair of account and address; 0: no limit.",
            ge=0,
            le=100_000,
        ),
    ] = 10
    rate_limit_per_minute: Annotated[
        int,
        _value(
            "a whole number from 0 to 1000000000",
            "Requests of the `platform` contract in a minute, for each user, and for each address "
            "before sign-in; 0: no limit.",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 60
    rate_limit_per_hour: Annotated[
        int,
        _value(
            "a whole number from 0 to 1000000000",
            "The same in an hour; 0: no limit.",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 1000
    session_lifetime_seconds: Annotated[
        int,
        _value(
            "seconds from 60 to 31536000",
            "Seconds after its last use at which a browser's sign-in ends.",
            ge=60,
            le=365 * 24 * 3600,
        ),
    ] = msgspec.field(default=7 * 24 * 3600, name="session_lifetime")
    default_model: Annotated[
        str | None,
        _value(
            "provider/name, such as openai/gpt-4o-mini",
            "The model where a request and its conversation name none; unset: the first model of "
            "the first provider that answers.",
        ),
    ] = None
    new_models: Annotated[
        Literal["active", "hidden"],
        _value("active or hidden", "Whether a model that a provider newly lists is on offer."),
    ] = "active"
    model_aliases: Annotated[
        tuple[str, ...],
        _value(
            "name=provider/model pairs such as gemma-7b=lmstudio/gemma-7b, separated by commas",
            "Other names for models, by which clients of the `platform` contract ask; they go "
            "before the six that it documents.",
        ),
    ] = ()
    max_answer_tokens: Annotated[
        int,
        _value(
            "a whole number from 1 to 1000000",
            "Tokens of an answer, where neither the request nor the model says.",
            ge=1,
            le=1_000_000,
        ),
    ] = 8192
    memories_per_user: Annotated[
        int,
        _value(
            "a whole number from 0 to 1000000",
            "How many memories one user may have.",
            ge=0,
            le=1_000_000,
        ),
    ] = 10_000
    provider_idle_timeout_seconds: Annotated[
        float,
        _value(
            "seconds from 1 to 3600",
            "Seconds of a provider's silence after which an answer fails.",
            ge=1,
            le=3600,
        ),
    ] = msgspec.field(default=60.0, name="provider_idle_timeout")
    documents_per_user: Annotated[
        int,
        _value(
            "a whole number from 0 to 1000000",
            "Documents that one user may keep.",
            ge=0,
            le=1_000_000,
        ),
    ] = 1000
    documents_bytes_per_user: Annotated[
        int,
        _value(
            "a whole number from 0 to 1000000000000000",
            "Bytes of all documents that one user may keep.",
            ge=0,
            le=10**15,
        ),
    ] = 1024**3
    embedding_model: Annotated[
        str | None,
        _value(
            "provider/name, such as openai/text-embedding-3-small",
            "The model of a provider that embeds memories and documents, so that they are found by "
            "meaning as well; unset, and no folder either: by words alone.",
        ),
    ] = None
    embedding_folder: Annotated[
        Path | None,
        _value(
            "a folder",
            "In its place: a folder with `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`, "
            "read in a process of its own; needs the extra `embeddings`.",
        ),
    ] = None
    web_search: Annotated[
        SearchMode | None,
        _value(
            "searxng, brave, tavily, provider or off",
            "Who searches the web; `provider`: the model's own, where it has one; unset: the first "
            "engine that is set up, else the provider.",
        ),
    ] = None
    searxng_url: Annotated[
        str | None,
        _value(
            "an address such as http://127.0.0.1:8888",
            "A SearXNG that answers in JSON.",
        ),
    ] = None
    web_search_cost_usd: Annotated[
        float,
        _value(
            "USD from 0 to 1",
            "What one search of an engine costs, for the ledger.",
            ge=0,
            le=1,
        ),
    ] = 0.0
    outbound_allow_networks: Annotated[
        tuple[str, ...],
        _value(
            "addresses or networks such as 10.1.0.0/16, separated by commas",
            "Networks beside the public internet to which addresses that users and pages choose "
            "may lead.",
        ),
    ] = ()
    webhook_admin_text: Annotated[
        bool,
        _value(
            "true or false",
            "Tell the administration's webhooks what people wrote as well, not ids alone.",
        ),
    ] = False
    webhook_log_days: Annotated[
        int,
        _value(
            "days from 7 to 3650",
            "Days for which what webhooks were told is kept, to be looked at and sent again.",
            ge=7,
            le=3650,
        ),
    ] = 30
    metrics_allow: Annotated[
        tuple[str, ...],
        _value(
            "addresses or networks such as 10.2.0.7, separated by commas",
            "From where `/metrics` may be read by anybody; administrators read it from anywhere.",
        ),
    ] = ()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _value("debug, info, warning or error", "What is logged."),
    ] = "info"
    log_format: Annotated[
        Literal["console", "json"], _value("console or json", "How it is logged.")
    ] = "console"

    providers: tuple[ProviderSettings, ...] = ()  # in the order in which they are asked
    search_engine: WebSearchSettings | None = None  # the one that `web_search` comes to
    embedder: EmbedderSettings | None = None
    identity_providers: tuple[IdentityProviderSettings, ...] = ()  # in the order of the file

    @property
    def database(self) -> str:
        """Return the database's URL, or the path of the SQLite file."""
        return self.database_url or str(self.data_dir / "palaver.db")

    def __repr__(self) -> str:
        """Return what is set, without secrets."""
        shown = (
            f"{name}={'…' if name in SECRET else repr(value)}"
            for field in msgspec.structs.fields(self)
            if (value := getattr(self, name := field.name)) != field.default
        )
        return f"Settings({', '.join(shown)})"


SECRET: Final = frozenset({"secret_key", "bootstrap_token", "database_url", "oidc_client_secret"})
"""Fields that nothing prints; a database's URL may hold its password."""

FIELDS: Final = {
    field.encode_name: field
    for field in msgspec.structs.fields(Settings)
    if field.name not in {"providers", "search_engine", "embedder", "identity_providers"}
}
"""Every setting by its key in the TOML file, which is its variable's name in lower case."""


def wanted(field: msgspec.structs.FieldInfo) -> str:
    """Return what a setting must be, as the end of a sentence."""
    return str(_meta(field).extra["want"])  # type: ignore[index]  # _value always sets it


def about(field: msgspec.structs.FieldInfo) -> str:
    """Return the sentence that says what a setting does."""
    return str(_meta(field).description)


def _meta(field: msgspec.structs.FieldInfo) -> msgspec.Meta:
    meta: msgspec.Meta = field.type.__metadata__[0]
    return meta
