-- Certificates of purchases, and the keys that sign them. After 0008_licensing.sql, which makes the purchases.

create table certificate_key (
    key_id      text        primary key,                         -- JWK thumbprint (RFC 7638)
    public      bytea       not null check (octet_length(public) = 32),
    sealed      bytea       not null,                            -- the private part, under the master key
    created_at  timestamptz not null default now(),
    retired_at  timestamptz                                      -- signs nothing more; what it signed stays valid
);
-- One key signs.
create unique index certificate_key_signs on certificate_key ((true)) where retired_at is null;

-- The row comes first, so that everybody who makes the file makes the same one.
create table certificate (
    purchase_id bigint      primary key references purchase,
    token       text        not null unique,                     -- of the public page: 192 random bits
    key_id      text        not null references certificate_key,
    facts       jsonb       not null,                            -- what is printed and signed, frozen
    created_at  timestamptz not null default now(),
    key         text,                                            -- in the object store; null: not made yet
    sha256      text,                                            -- of the PDF
    check ((key is null) = (sha256 is null))
);
create index on certificate (sha256) where sha256 is not null;
