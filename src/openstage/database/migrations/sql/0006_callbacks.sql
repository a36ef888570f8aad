-- Callbacks: what apps are told of their works, to which address, how often it was tried, and what came of it.

-- The last number of a work's events. Kept by itself: events are forgotten, and numbers are not given twice.
create table event_sequence (
    work_id      bigint      primary key references work on delete cascade,
    last         bigint      not null
);

create table event (
    id           bigint generated always as identity primary key,
    public_id    text        not null unique,                    -- evt_ and 24 characters of base 62: the header webhook-id
    app_id       bigint      not null references app,
    work_id      bigint      references work on delete cascade,
    kind         text        not null,                           -- such as ugc.published
    sequence     bigint      not null default 0,                 -- of the work's events, from 1; 0: of no work
    url          text        not null,
    host         text        not null,                           -- host and port of the address: so many go there at once
    data         json        not null,                           -- not jsonb: sent in the order in which it was written
    state        text        not null default 'waiting' check (state in ('waiting', 'doing', 'delivered', 'failed', 'gone')),
    held         boolean     not null default false,             -- waiting until its host or its app has room again, without a job
    tries        integer     not null default 0,                 -- that failed in a row; a replay begins anew
    attempts     integer     not null default 0,                 -- begun ones, as they are numbered in event_attempt
    claim        text        not null default '',                -- who delivers it: only they may end the attempt
    due_at       timestamptz not null default now(),
    created_at   timestamptz not null default now(),
    ended_at     timestamptz,
    check ((ended_at is null) = (state in ('waiting', 'doing'))),
    check (state = 'waiting' or not held)
);
create index on event (app_id, host) where state = 'doing';
create index on event (app_id) where state = 'waiting' and not held;
create index on event (app_id, host, due_at, id) where held;
create index on event (due_at) where state in ('waiting', 'doing');
create unique index on event (work_id, sequence);
create index on event (app_id, id);
create index on event (state, id);
create index on event (ended_at) where ended_at is not null;

create table event_attempt (
    event_id     bigint      not null references event on delete cascade,
    number       integer     not null,                           -- from 1
    began_at     timestamptz not null default now(),
    seconds      real,                                           -- until the status, or what went wrong; null: nobody knows
    outcome      text        not null default 'interrupted' check (outcome in ('delivered', 'failed', 'gone', 'interrupted')),
    status       integer,                                        -- HTTP; null: no answer
    excerpt      text        not null default '',                -- the beginning of the answer, or what went wrong
    primary key (event_id, number)
);
