CREATE TABLE audit_entries (
    id integer primary key autoincrement,
    action text not null,
    target text,
    actor_user_id integer,
    ip text,
    user_agent text,
    text_key text not null,
    created_at integer not null
) strict;

CREATE INDEX audit_entries_by_time on audit_entries (created_at, id);

CREATE TABLE conversations (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id),
    title text,
    title_key text,
    system_prompt text,
    active_message_id integer,
    model text,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;

CREATE INDEX conversations_by_owner on conversations (owner_id, updated_at desc, id desc)
    where deleted_at is null;

CREATE INDEX conversations_deleted on conversations (deleted_at) where deleted_at is not null;

CREATE TABLE facts (
    name text primary key,
    value text not null
) strict;

CREATE TABLE generation_events (
    id integer primary key,
    generation_id integer not null,
    until integer not null,
    kind integer not null,
    body text not null
) strict;

CREATE TABLE generations (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null,
    conversation_id integer not null references conversations (id) on delete cascade,
    message_id integer not null references messages (id) on delete cascade,
    answer_id integer not null references messages (id) on delete cascade,
    model text not null,
    state text not null,
    worker integer,
    attempt integer not null,
    cancel_requested_at integer,
    options text not null,
    recipe text not null,
    outline text,
    created_at integer not null,
    finished_at integer
) strict;

CREATE INDEX generations_by_answer on generations (answer_id);

CREATE INDEX generations_by_conversation on generations (conversation_id, id);

CREATE INDEX generations_by_message on generations (message_id, id);

CREATE UNIQUE INDEX generations_live on generations (message_id)
    where state in ('queued', 'running');

CREATE INDEX generations_queued on generations (id) where state = 'queued';

CREATE INDEX generations_running on generations (worker) where state = 'running';

CREATE TABLE idempotency_keys (
    owner_id integer not null references users (id) on delete cascade,
    route text not null,
    key text not null,
    body_hash text not null,
    attempt integer not null default 1,
    leased_until integer not null,
    generation_uuid text,
    status integer,
    headers text,
    body text,
    created_at integer not null,
    primary key (owner_id, route, key)
) strict;

CREATE INDEX idempotency_keys_by_time on idempotency_keys (created_at);

CREATE TABLE invites (
    id integer primary key autoincrement,
    code text not null unique,
    created_by integer,
    max_uses integer not null,
    uses integer not null default 0,
    used_by integer,
    expires_at integer,
    revoked_at integer,
    created_at integer not null
) strict;

CREATE TABLE jobs (
    id integer primary key autoincrement,
    kind text not null,
    payload text not null,
    dedupe_key text unique,
    run_at integer not null,
    attempt integer not null default 0,
    error text
) strict;

CREATE INDEX jobs_by_time on jobs (run_at, id);

CREATE TABLE known_origins (
    owner_id integer not null references users (id) on delete cascade,
    kind text not null,
    value text not null,
    last_seen_at integer not null,
    primary key (owner_id, kind, value)
) strict;

CREATE TABLE login_failures (
    key text primary key,
    slots text not null,
    counted_at integer not null
) strict;

CREATE TABLE messages (
    id integer primary key autoincrement,
    uuid text not null unique,
    conversation_id integer not null references conversations (id) on delete cascade,
    owner_id integer not null,
    parent_id integer references messages (id),
    role text not null,
    text text not null,
    text_tokens integer not null default 0,
    reasoning text,
    model text,
    prompt_tokens integer,
    completion_tokens integer,
    is_active integer not null default 1,
    is_hidden integer not null default 0,
    created_at integer not null,
    edited_at integer,
    deleted_at integer
) strict;

CREATE INDEX messages_active on messages (conversation_id, id) where is_active = 1;

CREATE INDEX messages_by_conversation on messages (conversation_id, id);

CREATE INDEX messages_by_parent on messages (parent_id);

CREATE INDEX messages_deleted on messages (id)
    where deleted_at is not null and (text <> '' or reasoning is not null);

CREATE TABLE models (
    id integer primary key autoincrement,
    name text not null unique,
    provider_id text not null,
    label text not null,
    profile text not null,
    is_active integer not null default 1,
    listed_at integer,
    created_at integer not null
) strict;

CREATE INDEX models_by_provider on models (provider_id, id);

CREATE TABLE reservations (
    generation_id integer primary key references generations (id) on delete cascade,
    owner_id integer not null,
    prompt_tokens integer not null,
    completion_tokens integer not null,
    created_at integer not null
) strict;

CREATE INDEX reservations_by_owner on reservations (owner_id);

CREATE TABLE schema_version (
    number integer primary key,
    name text not null,
    applied_at integer not null
) strict;

CREATE VIRTUAL TABLE search_index using fts5 (
    words, content='', contentless_delete=1, tokenize="ascii tokenchars '_'"
);

CREATE TABLE search_pending (
    id integer primary key autoincrement,
    owner_id integer not null,
    kind integer not null,
    ref integer not null
) strict;

CREATE INDEX search_pending_by_owner on search_pending (owner_id, id);

CREATE TABLE sessions (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id) on delete cascade,
    token_hash text unique,
    ip text,
    user_agent text,
    created_at integer not null,
    last_used_at integer not null,
    expires_at integer not null,
    ended_at integer
) strict;

CREATE INDEX sessions_by_expiry on sessions (expires_at);

CREATE INDEX sessions_by_owner on sessions (owner_id);

CREATE TABLE usage_entries (
    id integer primary key autoincrement,
    owner_id integer not null,
    conversation_id integer,
    generation_id integer,
    kind text not null,
    model text not null,
    prompt_tokens integer not null,
    completion_tokens integer not null,
    reasoning_tokens integer not null,
    cached_tokens integer not null,
    cost_micro_usd integer,
    messages integer not null,
    is_estimate integer not null,
    created_at integer not null
) strict;

CREATE INDEX usage_entries_by_owner on usage_entries (owner_id, created_at);

CREATE UNIQUE INDEX usage_entries_once on usage_entries (generation_id) where kind = 'answer';

CREATE TABLE users (
    id integer primary key autoincrement,
    uuid text not null unique,
    username text not null,
    username_key text not null unique,
    email text,
    email_key text unique,
    phone_number text,
    phone_key text unique,
    name text,
    password_hash text not null,
    role text not null,
    disabled_at integer,
    verified_at integer,
    created_at integer not null,
    last_login_at integer
) strict;

CREATE TABLE workers (
    id integer primary key autoincrement,
    lease_until integer not null,
    dead_at integer
) strict;
