-- Every table carries node and epoch, which several nodes on one database will need.
create table account (
    id       integer primary key,
    version  integer not null,
    node     integer not null,
    epoch    integer not null,
    key_tag  blob    not null,
    body     blob    not null
) strict;
create unique index account_key on account (key_tag);

create table orders (
    id           integer primary key,
    version      integer not null,
    node         integer not null,
    epoch        integer not null,
    account      integer not null,
    open         integer not null,
    verdict      text    not null,
    profile_hash blob,
    body         blob    not null
) strict;

-- An order while its signature is under way: larger by the bytes that are signed, and gone soon. In its own row it would
-- split the page of its neighbours for good. An order is here exactly while it is open; orders.body is then the one before.
create table order_claim (
    id   integer primary key,
    body blob    not null
) strict;

create table authorization (
    id       integer primary key,
    version  integer not null,
    node     integer not null,
    epoch    integer not null,
    open     integer not null,
    body     blob    not null
) strict;
create index authorization_open on authorization (id) where open = 1;

create table certificate (
    id           integer primary key,
    version      integer not null,
    node         integer not null,
    epoch        integer not null,
    issuer       integer not null,
    serial       blob    not null,
    shard        integer not null,
    status       integer not null,
    not_after    integer not null,
    revoked_at   integer,
    revocation_reason integer,
    profile_hash blob    not null,
    body         blob    not null
) strict;
-- Serials begin with the time, so this index grows at its end.
create unique index certificate_serial on certificate (issuer, serial);
-- Holds all that a CRL lists; only what is revoked pays for it.
create index certificate_revoked on certificate (issuer, shard, serial, not_after, revoked_at, revocation_reason)
    where revoked_at is not null;

create table issuer (
    id       integer primary key,
    version  integer not null,
    node     integer not null,
    epoch    integer not null,
    body     blob    not null
) strict;

create table crl (
    issuer   integer not null,
    shard    integer not null,
    version  integer not null,
    node     integer not null,
    epoch    integer not null,
    body     blob    not null,
    primary key (issuer, shard)
) strict;

create table setting (
    name     integer primary key,
    version  integer not null,
    node     integer not null,
    epoch    integer not null,
    body     blob    not null
) strict;

-- Position is node * 2^48 + sequence: one narrow key, so that whole blocks lie in the leaves.
create table audit (
    position integer primary key,
    node     integer not null,
    sequence integer not null,
    epoch    integer not null,
    previous blob    not null,
    body     blob    not null
) strict;
