-- Works: what is, or may become, published. A work shares its upload's file_id; its public face is `slug`.

create table work (
    id              bigint generated always as identity primary key,
    file_id         text        not null unique,
    slug            text        not null unique,                 -- 16 characters of base 62, in watch page addresses
    app_id          bigint      not null references app,
    user_id         bigint      not null references end_user,
    -- uploading -> waiting (finished, no metadata yet) -> publishing -> reviewing -> published
    --           \-> cancelled / expired                \-> failed    \-> refused (also from published, review after)
    state           text        not null check (state in
                      ('uploading', 'waiting', 'publishing', 'reviewing', 'published', 'refused', 'failed', 'cancelled', 'expired')),
    review          text        not null default 'none' check (review in ('none', 'pending', 'approved', 'refused')),
    reason          text        not null default '',             -- why it failed or was refused, for a person
    title           text        not null default '',
    description     text        not null default '',
    tags            text[]      not null default '{}',
    category        smallint,
    described_at    timestamptz,                                 -- when metadata first came
    file_size       bigint      not null default 0,
    duration_ms     bigint,
    media           jsonb,                                       -- what the probe found
    step            text        not null default '',             -- pipeline step under way, for progress
    percent         real        not null default 0,
    -- Production: `pending` says that a run of the pipeline is wanted (first publication or rerun), `claim` names the run
    -- under way (only its holder may put its results in force), `run` the one whose objects are published.
    pending         boolean     not null default false,
    claim           text        not null default '',
    run             text        not null default '',
    tries           integer     not null default 0,              -- runs in a row that broke off
    last_fault      text        not null default '',             -- what stopped the last of them, for the operator
    play_count      bigint      not null default 0,
    created_at      timestamptz not null default now(),
    changed_at      timestamptz not null default now(),
    published_at    timestamptz,
    deleted_at      timestamptz,                                 -- hidden from then on; the state stays, so a restore gives it back
    purged_at       timestamptz,                                 -- bytes removed for good
    check (pending or state <> 'publishing'),
    check (not pending or state in ('publishing', 'reviewing', 'published', 'refused'))
);
create index on work (app_id, user_id, created_at desc, id desc) where deleted_at is null;
create index on work (published_at desc) where state = 'published' and deleted_at is null;
create index on work (deleted_at) where deleted_at is not null and purged_at is null;
create index on work (created_at) where review = 'pending';
create index on work (id) where pending;
create index on work (id) where state = 'uploading';

-- One playable form of a work. Rows appear when, and only when, their objects are whole ('growing' ones aside).
create table rendition (
    id           bigint generated always as identity primary key,
    work_id      bigint      not null references work on delete cascade,
    kind         text        not null check (kind in ('hls_video', 'hls_audio', 'mp4')),
    quality      text        not null,                           -- '96', '1' … '5' as in the video dialect; 'a' for sound
    complete     boolean     not null default true,
    width        integer,
    height       integer,
    frame_rate   real,
    codecs       text        not null,                           -- RFC 6381, such as avc1.64001f
    bandwidth    integer     not null,                           -- peak, bits per second
    average_bandwidth integer not null,
    duration_ms  bigint      not null,
    byte_size    bigint      not null,
    key          text        not null,                           -- object of an mp4; initialisation section of an HLS rendition
    created_at   timestamptz not null default now(),
    unique (work_id, kind, quality)
);

create table segment (
    rendition_id bigint      not null references rendition on delete cascade,
    number       integer     not null,                           -- from 0
    duration_us  bigint      not null,
    byte_size    bigint      not null,
    key          text        not null,
    primary key (rendition_id, number)
);

-- Pictures of a work: 'original' (full size), 'img' (640 wide), 'thumbnail' (320 wide).
create table picture (
    work_id      bigint      not null references work on delete cascade,
    kind         text        not null,
    width        integer     not null,
    height       integer     not null,
    byte_size    bigint      not null,
    key          text        not null,
    primary key (work_id, kind)
);

-- A signed address that has been played: each counts once.
create table playback (
    nonce        text        primary key,
    work_id      bigint      not null references work on delete cascade,
    started_at   timestamptz not null default now()
);
create index on playback (started_at);

-- Runs of the pipeline whose objects (works/<file_id>/<name>/…) may be in the store: entered before the first object is
-- written and removed after the last is deleted, so that a killed run leaves nothing behind.
create table production_run (
    name           text        primary key,
    work_id        bigint      not null references work on delete cascade,
    begun_at       timestamptz not null default now(),
    superseded_at  timestamptz                                   -- was published, until a rerun took its place
);
create index on production_run (work_id);
