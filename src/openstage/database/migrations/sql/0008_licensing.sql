-- Purchases of licences, how apps are billed, and a ledger whose sums always agree.

-- How an app is billed; it has a row from when it first buys or the operator sets something.
create table billing (
    app_id        bigint      primary key references app,
    currency      text        not null check (currency ~ '^[A-Z]{3}$'),  -- of its ledger, from its first line on
    is_test       boolean     not null default false,            -- its purchases are marked and never billed
    credit_limit  numeric(14, 2) check (credit_limit >= 0),      -- what it may owe; null: as limit_kind says
    limit_kind    text        not null default 'setting' check (limit_kind in ('setting', 'own', 'none')),
    changed_at    timestamptz not null default now(),
    check ((credit_limit is not null) = (limit_kind = 'own'))
);

-- Who buys through an app: its main account ('') and its members, as the app names them.
create table buyer (
    id            bigint      generated always as identity (start with 10001) primary key,
    app_id        bigint      not null references app,
    third_user_id text        not null default '',
    name          text        not null,
    created_at    timestamptz not null default now(),
    unique (app_id, third_user_id),
    unique (app_id, id)
);

create table purchase (
    id            bigint      generated always as identity primary key,
    number        text        not null unique,                   -- of the licence, for people
    app_id        bigint      not null references app,
    main_id       bigint      not null,
    buyer_id      bigint      not null,
    track_id      bigint      not null references track,
    file_id       bigint      not null,                          -- what is delivered; its bytes never change
    title         text        not null,                          -- from here to currency: as it was then
    artist        text        not null,
    offer_id      bigint      not null,
    offer_name    text        not null,
    offer_type    text        not null,
    price         numeric(14, 2) not null check (price >= 0),
    currency      text        not null check (currency ~ '^[A-Z]{3}$'),
    warrant_name  text        not null check (warrant_name <> ''),
    is_test       boolean     not null,
    request_id    text        not null default '',               -- the app's own name for its request; '': none
    digest        text        not null default '',               -- of the signed request; '': none
    bought_at     timestamptz not null default now(),
    downloaded_at timestamptz,
    refunded_at   timestamptz,
    refund_reason text        not null default '',
    updated_at    timestamptz not null default now(),
    foreign key (app_id, main_id) references buyer (app_id, id),
    foreign key (app_id, buyer_id) references buyer (app_id, id),
    foreign key (track_id, file_id) references track_file (track_id, id),
    unique (id, app_id)
);
create index on purchase (app_id, id);
create index on purchase (app_id, bought_at);
create index on purchase (app_id, updated_at);
create index on purchase (app_id, track_id, bought_at);
create index on purchase (file_id);
-- A request buys once, whoever races.
create unique index on purchase (app_id, request_id) where request_id <> '';
create unique index on purchase (app_id, digest) where digest <> '';

create function keep_purchase() returns trigger language plpgsql as $$
begin
    if (new.id, new.number, new.app_id, new.main_id, new.buyer_id, new.track_id, new.file_id, new.title, new.artist,
        new.offer_id, new.offer_name, new.offer_type, new.price, new.currency, new.warrant_name, new.is_test,
        new.request_id, new.digest, new.bought_at)
       is distinct from
       (old.id, old.number, old.app_id, old.main_id, old.buyer_id, old.track_id, old.file_id, old.title, old.artist,
        old.offer_id, old.offer_name, old.offer_type, old.price, old.currency, old.warrant_name, old.is_test,
        old.request_id, old.digest, old.bought_at)
       or (old.downloaded_at is not null and new.downloaded_at is distinct from old.downloaded_at)
       or (old.refunded_at is not null and new.refunded_at is distinct from old.refunded_at) then
        raise exception 'What was bought stays as it was.' using errcode = 'restrict_violation';
    end if;
    new.updated_at := now();
    return new;
end $$;
create trigger keep_purchase before update on purchase for each row execute function keep_purchase();

-- Double entry, by app: 'owed' is what it owes us, 'sales' what was sold to it, 'received' what it has paid. Debits are
-- positive, so the accounts of an app sum up to zero, and so do the entries of each transaction.
create table ledger_account (
    id            bigint      generated always as identity primary key,
    app_id        bigint      not null references app,
    name          text        not null check (name in ('owed', 'sales', 'received')),
    balance       numeric(18, 2) not null default 0,             -- sum of its entries; only they change it
    unique (app_id, name),
    unique (id, app_id)
);

create table ledger_transaction (
    id            bigint      generated always as identity primary key,
    app_id        bigint      not null references app,
    kind          text        not null check (kind in ('purchase', 'refund', 'payment')),
    purchase_id   bigint,
    reference     text        not null default '',               -- of a payment, such as the bank's; books it once
    memo          text        not null default '',
    made_at       timestamptz not null default now(),
    foreign key (purchase_id, app_id) references purchase (id, app_id),
    check ((purchase_id is null) = (kind = 'payment')),
    unique (purchase_id, kind),                                  -- charged once, given back once
    unique (id, app_id)
);
create index on ledger_transaction (app_id, id);
create unique index on ledger_transaction (app_id, reference) where reference <> '';

create table ledger_entry (
    transaction_id bigint     not null,
    account_id    bigint      not null,
    app_id        bigint      not null,
    amount        numeric(14, 2) not null check (amount <> 0),
    balance       numeric(18, 2) not null default 0,             -- of the account, after this entry
    primary key (transaction_id, account_id),
    foreign key (transaction_id, app_id) references ledger_transaction (id, app_id),
    foreign key (account_id, app_id) references ledger_account (id, app_id)
);
create index on ledger_entry (account_id, transaction_id);

create function ledger_post() returns trigger language plpgsql as $$
begin
    update ledger_account set balance = balance + new.amount where id = new.account_id returning balance into new.balance;
    return new;
end $$;
create trigger ledger_post before insert on ledger_entry for each row execute function ledger_post();

create function ledger_balances() returns trigger language plpgsql as $$
declare
    this bigint := case tg_table_name when 'ledger_entry' then to_jsonb(new)->>'transaction_id' else to_jsonb(new)->>'id' end;
    entries bigint;
    total numeric;
begin
    select count(*), coalesce(sum(amount), 0) into entries, total from ledger_entry where transaction_id = this;
    if entries < 2 or total <> 0 then
        raise exception 'Ledger transaction % has % entries that sum up to %.', this, entries, total
            using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger ledger_balances after insert on ledger_entry
    deferrable initially deferred for each row execute function ledger_balances();
create constraint trigger ledger_balances after insert on ledger_transaction
    deferrable initially deferred for each row execute function ledger_balances();

create function ledger_keeps() returns trigger language plpgsql as $$
begin
    -- Entries change balances from within their trigger; nobody else does.
    if tg_table_name = 'ledger_account' and tg_op = 'UPDATE' and pg_trigger_depth() > 1 then
        return new;
    end if;
    raise exception 'The ledger is only ever added to.' using errcode = 'restrict_violation';
end $$;
create trigger ledger_keeps before update or delete on ledger_account for each row execute function ledger_keeps();
create trigger ledger_keeps before update or delete on ledger_transaction for each row execute function ledger_keeps();
create trigger ledger_keeps before update or delete on ledger_entry for each row execute function ledger_keeps();
create trigger ledger_keeps_all before truncate on ledger_account for each statement execute function ledger_keeps();
create trigger ledger_keeps_all before truncate on ledger_transaction for each statement execute function ledger_keeps();
create trigger ledger_keeps_all before truncate on ledger_entry for each statement execute function ledger_keeps();

-- Accounts begin at nothing.
create function ledger_opens() returns trigger language plpgsql as $$
begin
    new.balance := 0;
    return new;
end $$;
create trigger ledger_opens before insert on ledger_account for each row execute function ledger_opens();
