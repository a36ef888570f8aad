-- Production of a work as a run of tasks. Rows that play belong to a run; those of `work.run` are in force.

-- --- works ---------------------------------------------------------------------------------------------------
-- `claim` names the run under way: from the first bytes of the upload (nothing is wanted of it yet), or while `pending`.
-- A first publication is in force from its offer on (`run` = `claim`); a rerun takes force when it is complete.
alter table work drop column tries;                              -- tasks count their own
alter table work add column notice text not null default '';     -- what a person should know of the run under way
update work set claim = '', step = '', percent = case when pending then 0 else percent end;
alter table work add check (claim = '' or pending or state in ('uploading', 'waiting'));
alter table work add check (run = '' or state in ('reviewing', 'published', 'refused'));
create index on work (id) where claim <> '';

-- --- what plays ----------------------------------------------------------------------------------------------
alter table rendition
    add column run text not null default '',
    add column retired_at timestamptz,                           -- listed no more; who plays it goes on for a while
    drop constraint rendition_kind_check,
    add constraint rendition_kind_check check (kind in ('hls_video', 'hls_audio', 'mp4', 'mp3')),
    drop constraint rendition_work_id_kind_quality_key;
update rendition set run = work.run from work where work.id = work_id;
alter table rendition add unique (work_id, run, kind, quality);
create index on rendition (retired_at) where retired_at is not null;

alter table picture add column run text not null default '', drop constraint picture_pkey;
update picture set run = work.run from work where work.id = work_id;
alter table picture add primary key (work_id, run, kind);

-- Further objects of a run: 'waveform.json', 'waveform.png', 'storyboard/<n>.jpg'.
create table extra (
    work_id      bigint      not null references work on delete cascade,
    run          text        not null,
    name         text        not null,
    content_type text        not null,
    byte_size    bigint      not null,
    key          text        not null,
    primary key (work_id, run, name)
);

-- Small pictures of the whole work at even distances, row by row on sheets ('storyboard/<n>.jpg').
create table storyboard (
    work_id      bigint      not null references work on delete cascade,
    run          text        not null,
    interval_ms  integer     not null check (interval_ms > 0),
    tile_width   integer     not null,                           -- pixels
    tile_height  integer     not null,
    columns      integer     not null,                           -- tiles of a full sheet
    rows         integer     not null,
    tiles        integer     not null,                           -- of all sheets
    primary key (work_id, run)
);

-- Loudness of the whole work (EBU R 128).
create table loudness (
    work_id      bigint      not null references work on delete cascade,
    run          text        not null,
    integrated_lufs real,                                        -- null: silence, or too short to tell; so are the others
    range_lu     real,
    true_peak_dbtp real,
    primary key (work_id, run)
);

-- --- production ----------------------------------------------------------------------------------------------
alter table production_run
    add column ready_at     timestamptz,                         -- its first rendition can be played from then on
    add column duration_ms  bigint,
    add column media        jsonb,                               -- what the probe found
    add column plan         jsonb,                               -- what will be made
    add column tidied       boolean not null default false;      -- nothing is left of tries that broke off
update production_run r set tidied = true from work where work.id = work_id and work.run = r.name;
create index on production_run (name) where not tidied;

-- One step of a run: done once, by whichever worker; each has one job in the queue while it waits or is under way.
create table production_task (
    id           bigint generated always as identity primary key,
    run          text        not null references production_run on delete cascade,
    work_id      bigint      not null references work on delete cascade,
    kind         text        not null check (kind in ('first', 'plan', 'pictures', 'sound', 'chunk', 'join')),
    number       integer     not null default 0,                 -- of a chunk, from 0; else 0
    state        text        not null default 'waiting' check (state in ('waiting', 'doing', 'done', 'failed')),
    claim        text        not null default '',                -- who is doing it: only they may end it
    tries        integer     not null default 0 check (tries >= 0),
    last_fault   text        not null default '',                -- what stopped the last try, for the operator
    spec         jsonb       not null default '{}',
    result       jsonb,
    weight       real        not null default 1 check (weight >= 0),  -- its part of the whole work
    percent      real        not null default 0,
    turn         bigint      not null,                           -- its place among the tasks of all apps (publishing/turns.py)
    changed_at   timestamptz not null default now(),
    unique (run, kind, number),
    check ((state = 'doing') = (claim <> ''))
);
create index on production_task (work_id);

-- Fair order. In each lane (a class of tasks), the turn that was last begun, and each app's last one that was given out.
create table lane_turn (
    lane         text        primary key,
    turn         bigint      not null default 0
);
create table app_turn (
    lane         text        not null references lane_turn,
    app_id       bigint      not null references app on delete cascade,
    turn         bigint      not null,
    primary key (lane, app_id)
);
insert into lane_turn (lane) values ('first'), ('plan'), ('side'), ('ladder'), ('rerun');

-- Machines with a worker, by the address at which they receive uploads: what lies there is left to them.
create table worker_node (
    node         text        primary key,
    seen_at      timestamptz not null
);

-- Jobs of the old pipeline: what they were for is wanted still (`work.pending`), and begins anew as a run of tasks.
delete from procrastinate_jobs where task_name = 'publish' and status in ('todo', 'doing');

-- procrastinate looks for jobs with the same lock at each fetch; without an index that is a look at all that wait.
create index procrastinate_jobs_lock on procrastinate_jobs (lock);
