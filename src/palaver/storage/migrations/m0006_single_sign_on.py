"""Single sign-on: who is whom at identity providers, and sign-ins that are under way."""

_INT = {"sqlite": "integer", "postgresql": "bigint"}
_STRICT = {"sqlite": "strict", "postgresql": ""}

_TABLES = """
create table external_identities (
    issuer text not null,
    subject text not null,
    owner_id {int} not null references users (id) on delete cascade,
    provider_id text not null,
    created_at {int} not null,
    last_used_at {int} not null,
    primary key (issuer, subject)
) {strict};
create index external_identities_by_owner on external_identities (owner_id);

create table login_states (
    state_hash text primary key,
    browser_hash text not null,
    provider_id text not null,
    callback_uri text not null,
    target text not null,
    is_own {int} not null,
    client_state text,
    code_challenge text,
    invite_code text,
    expires_at {int} not null
) {strict};
create index login_states_by_expiry on login_states (expires_at);

create table exchange_codes (
    code_hash text primary key,
    owner_id {int} not null references users (id) on delete cascade,
    provider_id text not null,
    code_challenge text,
    expires_at {int} not null
) {strict};
create index exchange_codes_by_owner on exchange_codes (owner_id);
create index exchange_codes_by_expiry on exchange_codes (expires_at);
"""


def statements(engine: str) -> list[str]:
    """Return the step's statements for `sqlite` or `postgresql`, in order."""
    text = _TABLES.replace("{int}", _INT[engine]).replace("{strict}", _STRICT[engine])
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
