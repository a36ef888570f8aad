-- QR tickets, passkeys, and what was taken from whom when an access token is replaced.

-- A QR ticket is a device's grant, too: digest is its ticket's, and the person gets to it by the QR code's link.
alter table device_grant
    add column link        text  unique,                         -- in the QR code's address; null: RFC 8628, no ticket
    add column device_id   text  not null default '',
    add column code_digest bytea references authorization_code on delete set null;  -- what a confirmed ticket gives
create index on device_grant (code_digest) where code_digest is not null;

-- Where a refresh token is kept the token that was replaced stays for a while, so that its refusal can be explained.
alter table access_token
    add column replaced_at timestamptz,
    add column asked_ts    bigint;                               -- of the signed request that it answered (Unix time)

-- WebAuthn, Level 3: what a person signs in with instead of a password.
create table passkey (
    id            bigint generated always as identity primary key,
    account_id    bigint      not null references account on delete cascade,
    credential    bytea       not null unique,                   -- the authenticator's id of it
    public_key    bytea       not null,                          -- COSE
    sign_count    bigint      not null,                          -- 0: the authenticator doesn't count
    transports    text[]      not null default '{}',
    name          text        not null,                          -- for the person's own list
    synced        boolean     not null,                          -- it may be on several devices
    created_at    timestamptz not null default now(),
    used_at       timestamptz
);
create index on passkey (account_id);

-- What an authenticator is asked to sign: once, soon, and in the browser that asked.
create unlogged table passkey_challenge (
    digest        bytea       primary key,
    browser       bytea       not null,                          -- SHA-256 of what the browser's forms hang on
    account_id    bigint      references account on delete cascade,  -- whose passkey is to be made; null: sign-in
    expires_at    timestamptz not null
);
create index on passkey_challenge (expires_at);
