-- Recordings of the karaoke dialect, who may see a work, friends.

alter table work add column access text not null default 'public' check (access in ('public', 'friends', 'private'));

-- What a singer's app says of a recording, word for word; the work beside it is what plays.
create table recording (
    work_id        bigint      primary key references work on delete cascade,
    ugc_id         text        not null unique,                  -- 48 hex digits
    share_id       text        not null unique,                  -- 16 characters of base 62, in share addresses
    song_id        text        not null,
    song_name      text        not null,
    song_type      integer     not null,
    publish_type   integer     not null,                         -- who could see it when it came: 0 all, 1 friends, 2 nobody
    share_type     integer     not null,                         -- kept and told; nothing here goes by it
    score          integer     not null,
    score_rank     integer     not null,
    content        text        not null,                         -- what the singer says about it
    cover          text        not null,                         -- http(s) address of a picture elsewhere, or ''
    file_name      text        not null,
    file_sha       text        not null,                         -- SHA-1 or SHA-256 of the file in hex, as it was sent and found right; or ''
    is_segment     boolean     not null,
    segment_start  integer     not null,                         -- milliseconds of the song
    segment_end    integer     not null,
    sentence_count integer     not null,
    imei           text        not null,
    device_id      text        not null,
    callback_url   text        not null                          -- hears what becomes of it, or ''
);

-- A file that is still to be fetched for a work, from the address that its app named. The row goes when it is here, or
-- won't come; an address may hold somebody's credentials.
create table recording_fetch (
    work_id        bigint      primary key references work on delete cascade,
    url            text        not null,
    file_size      bigint,                                       -- bytes it must have; null: not said
    file_sha       text        not null,                         -- what it must have, see recording.file_sha
    claim          text        not null default '',              -- who fetches it: only they may end it
    tries          integer     not null default 0,               -- begun ones
    last_fault     text        not null default '',
    created_at     timestamptz not null default now(),
    changed_at     timestamptz not null default now()
);

-- Friends: a pair stands twice, once from each side.
create table friendship (
    account_id     bigint      not null references account on delete cascade,
    friend_id      bigint      not null references account on delete cascade,
    created_at     timestamptz not null default now(),
    primary key (account_id, friend_id),
    check (account_id <> friend_id)
);
create index on friendship (friend_id);

-- Lists of recordings (works/listing.py). Each walks one index from where the page before ended.
alter table account add column city_id integer check (city_id between 1 and 999999);  -- where a person lives, as apps number cities
alter table recording
    add column city_id integer,                                  -- where its singer lived when it came
    -- Seconds of the epoch at which it came, and half a day for each doubling of its plays: what is worth hearing now.
    add column heat bigint not null default extract(epoch from now())::bigint;
create index on work (user_id, created_at desc, id desc)
    where state = 'published' and deleted_at is null and access <> 'private';
create index on recording (song_id, heat desc, work_id desc);
create index on recording (heat desc, work_id desc);
create index on recording (city_id, work_id desc) where city_id is not null;
