-- Apps (the integrators' programs), their end users, and the tokens issued to them.

create table app (
    id                     bigint generated always as identity primary key,
    client_id              text        not null unique,          -- 32 hex digits
    name                   text        not null,
    secret                 bytea       not null,                 -- encrypted under the master key: two dialects sign with it
    previous_secret        bytea,                                -- valid until previous_secret_until after a rotation
    previous_secret_until  timestamptz,
    state                  text        not null check (state in ('pending', 'approved', 'rejected', 'frozen', 'deleted')),
    quota                  bigint      check (quota >= 0),       -- bytes; null: the setting; 0: no limit
    stored                 bigint      not null default 0 check (stored >= 0),    -- bytes of finished originals
    reserved               bigint      not null default 0 check (reserved >= 0),  -- bytes promised to open uploads
    created_at             timestamptz not null default now(),
    changed_at             timestamptz not null default now()
);

create table end_user (
    id          bigint generated always as identity primary key,
    app_id      bigint      not null references app,
    realm       text        not null,                            -- 'app' (the app itself), 'person', 'partner'
    uid         text        not null,                            -- the app's own name for the user; '' in realm 'app'
    nick        text        not null default '',
    created_at  timestamptz not null default now(),
    unique (app_id, realm, uid)
);

-- Tokens that descend from one authorisation; revoking the family revokes them all (RFC 9700, 4.14).
create table token_family (
    id          bigint generated always as identity primary key,
    app_id      bigint      not null references app,
    user_id     bigint      not null references end_user,
    created_at  timestamptz not null default now(),
    revoked_at  timestamptz
);
create index on token_family (user_id);

create table access_token (
    digest      bytea       primary key,                         -- SHA-256 of the token
    family_id   bigint      not null references token_family on delete cascade,
    issued_at   timestamptz not null default now(),
    expires_at  timestamptz not null
);
create index on access_token (family_id);
create index on access_token (expires_at);

create table refresh_token (
    digest      bytea       primary key,
    family_id   bigint      not null references token_family on delete cascade,
    issued_at   timestamptz not null default now(),
    expires_at  timestamptz not null,
    used_at     timestamptz                                      -- its successor is derived from it, so need not be stored
);
create index on refresh_token (family_id);
create index on refresh_token (expires_at);
