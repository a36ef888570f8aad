-- Uploads in pieces. What has been received is a multirange: one UPDATE adds a piece.

create table upload (
    id             bigint generated always as identity primary key,
    file_id        text        not null unique,                  -- 32 hex digits: the capability to send pieces
    app_id         bigint      not null references app,
    user_id        bigint      not null references end_user,
    node           text        not null,                         -- the node that holds the staging file
    state          text        not null check (state in ('open', 'finished', 'cancelled', 'expired')),
    file_type      text        not null default '',
    size           bigint      not null check (size >= 0),       -- bytes, as declared at openupload
    reserved       bigint      not null default 0,               -- bytes taken from the app's quota while open
    received       int8multirange not null default '{}',
    digest         bytea,                                        -- MD5 of the whole file, once finished and hashed
    stored         boolean     not null default false,           -- the original is in the object store, the staging file gone
    created_at     timestamptz not null default now(),
    last_piece_at  timestamptz not null default now(),
    ended_at       timestamptz
) with (fillfactor = 70);                                       -- with no index on what a piece changes: its update stays
                                                                 -- in its page and touches no index (HOT)
create index on upload (id) where state = 'open';
create index on upload (app_id, user_id);
