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
create index orders_open on orders (id) where open = 1;

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
    profile_hash blob    not null,
    body         blob    not null
) strict;
-- Serials begin with the time, so this index grows at its end.
create unique index certificate_serial on certificate (issuer, serial);
create index certificate_revoked on certificate (issuer, shard, serial, not_after) where status <> 0;

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

create table audit (
    node     integer not null,
    sequence integer not null,
    epoch    integer not null,
    previous blob    not null,
    body     blob    not null,
    primary key (node, sequence)
) strict, without rowid;
