CREATE TABLE api_keys (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id) on delete cascade,
    name text not null,
    prefix text not null,
    key_hash text not null unique,
    scopes text not null,
    created_at integer not null,
    expires_at integer,
    last_used_at integer,
    revoked_at integer
) strict;

CREATE INDEX api_keys_by_owner on api_keys (owner_id, id);

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

CREATE TABLE chatbots (
    id integer primary key autoincrement,
    name text not null unique,
    description text not null default '',
    image text not null default '',
    system_prompt text not null default '',
    chatbot_type text not null default 'text',
    is_active integer not null default 1,
    open_to_all integer not null default 1,
    created_at integer not null
) strict;

CREATE TABLE chunks (
    id integer primary key autoincrement,
    document_id integer not null references documents (id) on delete cascade,
    owner_id integer not null,
    number integer not null,
    starts integer not null,
    ends integer not null,
    page integer,
    heading text,
    text text not null,
    text_tokens integer not null,
    page_starts text
) strict;

CREATE UNIQUE INDEX chunks_by_document on chunks (document_id, number);

CREATE TABLE conversation_usage (
    id integer primary key autoincrement,
    conversation_id integer not null unique,
    owner_id integer not null,
    tokens integer not null,
    free_tokens integer not null,
    is_free integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;

CREATE INDEX conversation_usage_by_owner on conversation_usage (owner_id, updated_at desc, id desc);

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
, chatbot_id integer, asked_model text, metadata text, archived_at integer, auto_titled integer not null default 0, options text) strict;

CREATE INDEX conversations_by_chatbot on conversations (chatbot_id)
    where chatbot_id is not null and deleted_at is null;

CREATE INDEX conversations_by_owner on conversations (owner_id, updated_at desc, id desc)
    where deleted_at is null;

CREATE INDEX conversations_deleted on conversations (deleted_at) where deleted_at is not null;

CREATE TABLE document_texts (
    document_id integer not null references documents (id) on delete cascade,
    starts integer not null,
    text text not null,
    primary key (document_id, starts)
) strict;

CREATE TABLE document_turns (
    owner_id integer primary key references users (id) on delete cascade,
    served_at integer not null
) strict;

CREATE TABLE documents (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id) on delete cascade,
    title text not null,
    mime_type text not null,
    size_bytes integer not null,
    metadata text,
    status text not null,
    error text,
    chunks integer not null default 0,
    embedded integer not null default 0,
    embedder text,
    progress real not null default 0,
    attempt integer not null default 0,
    tries integer not null default 0,
    leased_until integer not null default 0,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
) strict;

CREATE INDEX documents_by_embedder on documents (embedder)
    where status = 'ready' and deleted_at is null;

CREATE INDEX documents_by_owner on documents (owner_id, updated_at desc, id desc)
    where deleted_at is null;

CREATE INDEX documents_pending on documents (owner_id, id, leased_until, size_bytes)
    where status = 'pending' and deleted_at is null;

CREATE TABLE embedding_turns (
    id integer primary key,
    holder text not null,
    held_until integer not null
) strict;

CREATE TABLE exchange_codes (
    code_hash text primary key,
    owner_id integer not null references users (id) on delete cascade,
    provider_id text not null,
    code_challenge text,
    expires_at integer not null
) strict;

CREATE INDEX exchange_codes_by_expiry on exchange_codes (expires_at);

CREATE INDEX exchange_codes_by_owner on exchange_codes (owner_id);

CREATE TABLE external_identities (
    issuer text not null,
    subject text not null,
    owner_id integer not null references users (id) on delete cascade,
    provider_id text not null,
    created_at integer not null,
    last_used_at integer not null,
    primary key (issuer, subject)
) strict;

CREATE INDEX external_identities_by_owner on external_identities (owner_id);

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
, terms text not null default '{}') strict;

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

CREATE TABLE images (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id) on delete cascade,
    name text not null unique,
    media_type text not null,
    size_bytes integer not null,
    width integer not null,
    height integer not null,
    message_id integer,
    created_at integer not null
) strict;

CREATE INDEX images_by_message on images (message_id) where message_id is not null;

CREATE INDEX images_by_owner on images (owner_id, id);

CREATE INDEX images_unsent on images (owner_id, created_at) where message_id is null;

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

CREATE TABLE login_states (
    state_hash text primary key,
    browser_hash text not null,
    provider_id text not null,
    callback_uri text not null,
    target text not null,
    is_own integer not null,
    client_state text,
    code_challenge text,
    invite_code text,
    expires_at integer not null
) strict;

CREATE INDEX login_states_by_expiry on login_states (expires_at);

CREATE TABLE memories (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer not null references users (id) on delete cascade,
    type text not null,
    content text not null,
    text_tokens integer not null,
    importance real not null,
    metadata text,
    conversation_id integer,
    source_message_id integer,
    created_at integer not null,
    updated_at integer not null
) strict;

CREATE INDEX memories_by_conversation on memories (conversation_id)
    where conversation_id is not null;

CREATE INDEX memories_by_importance on memories
    (owner_id, importance desc, updated_at desc, id desc);

CREATE INDEX memories_by_owner on memories (owner_id, updated_at desc, id desc);

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
, asked_model text, citations text, images text) strict;

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
, description text not null default '', type text, is_free integer not null default 0, multiplier_percent integer not null default 100, open_to_all integer not null default 1, prompt_price integer, completion_price integer) strict;

CREATE INDEX models_by_provider on models (provider_id, id);

CREATE TABLE password_resets (
    owner_id integer primary key references users (id) on delete cascade,
    token_hash text not null unique,
    created_at integer not null,
    expires_at integer not null
) strict;

CREATE INDEX password_resets_by_expiry on password_resets (expires_at);

CREATE TABLE plan_chatbots (
    plan_id integer not null references plans (id) on delete cascade,
    chatbot_id integer not null references chatbots (id) on delete cascade,
    primary key (plan_id, chatbot_id)
) strict;

CREATE INDEX plan_chatbots_by_chatbot on plan_chatbots (chatbot_id);

CREATE TABLE plan_models (
    plan_id integer not null references plans (id) on delete cascade,
    model_id integer not null references models (id) on delete cascade,
    primary key (plan_id, model_id)
) strict;

CREATE INDEX plan_models_by_model on plan_models (model_id);

CREATE TABLE plans (
    id integer primary key autoincrement,
    name text not null unique,
    description text not null default '',
    price_cents integer not null default 0,
    duration_days integer not null default 0,
    sku text unique,
    max_tokens integer,
    max_tokens_free integer,
    max_cost_micro_usd integer,
    hourly_max_messages integer,
    hourly_max_tokens integer,
    three_hours_max_messages integer,
    three_hours_max_tokens integer,
    twelve_hours_max_messages integer,
    twelve_hours_max_tokens integer,
    daily_max_messages integer,
    daily_max_tokens integer,
    weekly_max_messages integer,
    weekly_max_tokens integer,
    monthly_max_messages integer,
    monthly_max_tokens integer,
    monthly_free_model_messages integer,
    monthly_free_model_tokens integer,
    daily_image_generation_limit integer,
    weekly_image_generation_limit integer,
    monthly_image_generation_limit integer,
    is_active integer not null default 1,
    is_default integer not null default 0,
    created_at integer not null
) strict;

CREATE UNIQUE INDEX plans_default on plans (is_default) where is_default = 1;

CREATE TABLE rate_counts (
    key text primary key,
    minute_at integer not null,
    minute_requests integer not null,
    hour_at integer not null,
    hour_requests integer not null
) strict;

CREATE INDEX rate_counts_by_time on rate_counts (hour_at);

CREATE TABLE recovery_codes (
    owner_id integer not null references users (id) on delete cascade,
    code_hash text not null,
    primary key (owner_id, code_hash)
) strict;

CREATE TABLE reservations (
    id integer primary key autoincrement,
    owner_id integer not null,
    generation_id integer unique,
    kind text not null,
    counted_at integer not null,
    subscribed_at integer,
    messages integer not null,
    tokens integer not null,
    free_messages integer not null,
    free_tokens integer not null,
    images integer not null,
    cost_micro_usd integer not null,
    expires_at integer,
    created_at integer not null
) strict;

CREATE INDEX reservations_by_expiry on reservations (expires_at) where expires_at is not null;

CREATE INDEX reservations_by_owner on reservations (owner_id);

CREATE TABLE schema_version (
    number integer primary key,
    name text not null,
    applied_at integer not null
) strict;

CREATE TABLE search_entries (
    kind integer not null,
    ref integer not null,
    owner_id integer not null,
    version integer not null default 0,
    space_id integer not null default 0,
    terms blob not null,
    primary key (kind, ref)
) strict;

CREATE INDEX search_entries_by_space on search_entries (kind, space_id, owner_id, ref);

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

CREATE TABLE search_postings (
    owner_id integer not null,
    kind integer not null,
    term text not null,
    part integer not null,
    postings blob not null,
    primary key (owner_id, kind, term, part)
) strict, without rowid;

CREATE TABLE search_totals (
    owner_id integer not null,
    kind integer not null,
    texts integer not null,
    last_ref integer not null,
    primary key (owner_id, kind)
) strict;

CREATE TABLE second_factors (
    owner_id integer primary key references users (id) on delete cascade,
    secret text not null,
    last_step integer not null,
    failures integer not null default 0,
    blocked_until integer not null default 0,
    created_at integer not null,
    confirmed_at integer
) strict;

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

CREATE TABLE subscriptions (
    id integer primary key autoincrement,
    owner_id integer not null references users (id) on delete cascade,
    plan_id integer not null references plans (id),
    start_at integer not null,
    end_at integer,
    created_at integer not null
) strict;

CREATE INDEX subscriptions_by_owner on subscriptions (owner_id, start_at);

CREATE INDEX subscriptions_by_plan on subscriptions (plan_id);

CREATE TABLE usage_buckets (
    owner_id integer not null,
    kind integer not null,
    starts_at integer not null,
    messages integer not null,
    tokens integer not null,
    free_messages integer not null,
    free_tokens integer not null,
    images integer not null,
    cost_micro_usd integer not null,
    primary key (owner_id, kind, starts_at)
) strict;

CREATE INDEX usage_buckets_steps on usage_buckets (starts_at) where kind = 1;

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
, plan_id integer, counted_at integer not null default 0, is_free integer not null default 0, charged_tokens integer not null default 0, images integer not null default 0) strict;

CREATE INDEX usage_entries_by_owner on usage_entries (owner_id, counted_at);

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
, uses_memories integer not null default 1, extracts_memories integer not null default 0, second_factor_at integer, deleted_at integer) strict;

CREATE TABLE vector_bits (
    owner_id integer not null,
    kind integer not null,
    space_id integer not null,
    ref integer not null,
    bits blob not null,
    primary key (owner_id, kind, space_id, ref)
) strict, without rowid;

CREATE TABLE vector_spaces (
    id integer primary key autoincrement,
    name text not null unique
) strict;

CREATE TABLE vectors (
    kind integer not null,
    ref integer not null,
    owner_id integer not null,
    space_id integer not null,
    vector blob not null,
    primary key (kind, ref)
) strict;

CREATE INDEX vectors_by_space on vectors (space_id, kind, ref);

CREATE TABLE webhook_attempts (
    id integer primary key autoincrement,
    delivery_id integer not null references webhook_deliveries (id) on delete cascade,
    number integer not null,
    at integer not null,
    duration_ms integer not null,
    headers text not null,
    status integer,
    error text,
    answer text not null
) strict;

CREATE INDEX webhook_attempts_by_delivery on webhook_attempts (delivery_id, id);

CREATE TABLE webhook_deliveries (
    id integer primary key autoincrement,
    event_id integer not null references webhook_events (id) on delete cascade,
    endpoint_id integer not null references webhook_endpoints (id) on delete cascade,
    state text not null,
    tries integer not null default 0,
    due_at integer not null default 0,
    created_at integer not null,
    begun_at integer not null,
    finished_at integer
) strict;

CREATE INDEX webhook_deliveries_by_endpoint on webhook_deliveries
    (endpoint_id, created_at, id);

CREATE UNIQUE INDEX webhook_deliveries_by_event on webhook_deliveries (event_id, endpoint_id);

CREATE INDEX webhook_deliveries_waiting on webhook_deliveries (endpoint_id, state, due_at, id)
    where finished_at is null;

CREATE TABLE webhook_endpoints (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer references users (id) on delete cascade,
    url text not null,
    events integer not null,
    description text not null,
    is_active integer not null default 1,
    disabled_reason text,
    secret text not null,
    former_secret text,
    former_until integer,
    failing_since integer,
    held_until integer not null default 0,
    worker text,
    leased_until integer not null default 0,
    created_at integer not null,
    deleted_at integer
) strict;

CREATE INDEX webhook_endpoints_by_owner on webhook_endpoints (coalesce(owner_id, 0), id)
    where deleted_at is null;

CREATE INDEX webhook_endpoints_deleted on webhook_endpoints (id) where deleted_at is not null;

CREATE TABLE webhook_events (
    id integer primary key autoincrement,
    uuid text not null unique,
    owner_id integer references users (id) on delete cascade,
    kind text not null,
    ref integer not null,
    data text not null,
    texts text,
    created_at integer not null
) strict;

CREATE INDEX webhook_events_by_owner on webhook_events (owner_id);

CREATE INDEX webhook_events_with_text on webhook_events (ref) where texts is not null;

CREATE TABLE workers (
    id integer primary key autoincrement,
    lease_until integer not null,
    dead_at integer
) strict;
