-- External account bindings. `withdrawn` stands beside the body because changes need it to be null.
create table binding (
    id        integer primary key,
    version   integer not null,
    node      integer not null,
    epoch     integer not null,
    withdrawn integer,
    body      blob    not null
) strict;
