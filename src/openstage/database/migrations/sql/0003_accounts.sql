-- People who sign in here, what they allowed which app, and how often somebody has guessed.

create table account (
    id            bigint generated always as identity primary key,
    name          text        not null,                          -- as it is shown
    folded        text        not null unique,                   -- one for all spellings of a name
    password      text        not null,                          -- argon2id with its parameters and salt (RFC 9106)
    state         text        not null default 'active' check (state in ('active', 'disabled')),
    created_at    timestamptz not null default now(),
    changed_at    timestamptz not null default now(),
    signed_in_at  timestamptz
);

-- A browser that is signed in.
create table session (
    digest        bytea       primary key,                       -- SHA-256 of the cookie's value
    account_id    bigint      not null references account on delete cascade,
    agent         text        not null default '',               -- what the browser says it is, for the person's list
    address       text        not null default '',
    created_at    timestamptz not null default now(),
    seen_at       timestamptz not null default now(),
    expires_at    timestamptz not null
);
create index on session (account_id);
create index on session (expires_at);

alter table app
    add column developer_id bigint  references account,          -- null: the operator
    add column public       boolean not null default false,      -- can't keep a secret: known by id and PKCE alone
    add column redirects    text[]  not null default '{}',       -- addresses that codes may be sent to, compared exactly
    add column scopes       text[]  not null default '{works.read,works.write}';  -- what it may ask for

-- Realm 'account': a person as one app sees them; uid is their openid.
alter table end_user
    add column account_id bigint references account,
    add unique (app_id, account_id);
create index on end_user (account_id) where account_id is not null;

alter table token_family
    add column scopes        text[]  not null default '{works.read,works.write}',
    add column origin        text    not null default 'client' check (origin in ('client', 'code', 'device')),
    add column keeps_refresh boolean not null default false,     -- its refresh token is used again and again
    add column ended_by      text    not null default ''
        check (ended_by in ('', 'user', 'app', 'operator', 'reuse', 'newer', 'disabled'));
update token_family set ended_by = 'operator' where revoked_at is not null;
alter table token_family add check (ended_by = '' or revoked_at is not null);
create index on token_family (app_id);

-- RFC 6749, 4.1.2: used once, within minutes, by the app it was made for.
create table authorization_code (
    digest        bytea       primary key,
    app_id        bigint      not null references app,
    user_id       bigint      not null references end_user,
    redirect      text        not null,
    redirect_sent boolean     not null,                          -- then it must be sent again with the code
    scopes        text[]      not null,
    challenge     text        not null default '',               -- S256 (RFC 7636); '': none
    issued_at     timestamptz not null default now(),
    expires_at    timestamptz not null,
    used_at       timestamptz,
    family_id     bigint      references token_family on delete set null  -- what came of it
);
create index on authorization_code (expires_at);

-- RFC 8628: a device waits for a person who confirms elsewhere.
create table device_grant (
    digest        bytea       primary key,                       -- of the device's own code
    user_code     text        not null unique,                   -- what the person types; letters only
    app_id        bigint      not null references app,
    scopes        text[]      not null,
    device        text        not null default '',               -- what the device calls itself
    state         text        not null default 'waiting' check (state in ('waiting', 'scanned', 'confirmed', 'refused', 'used')),
    user_id       bigint      references end_user,
    family_id     bigint      references token_family on delete set null,
    interval_s    integer     not null,                          -- least seconds between two polls
    polled_at     timestamptz,
    issued_at     timestamptz not null default now(),
    expires_at    timestamptz not null,
    check (user_id is not null or state not in ('confirmed', 'used'))
);
create index on device_grant (expires_at);

-- Wrong guesses, as a bucket that leaks: level falls with time. To lose it in a crash costs nothing but strictness.
create unlogged table guess (
    subject       bytea       primary key,                       -- SHA-256 of what is guessed at, and of who guesses
    level         real        not null,
    changed_at    timestamptz not null default now()
);
create index on guess (changed_at);
