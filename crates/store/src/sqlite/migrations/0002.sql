-- An account's orders: the list that RFC 8555 asks for, and what an account has proven.
create index orders_account on orders (account);

-- What later orders may rest on, by account and identifier; null for all others, which pay nothing for it.
alter table authorization add column reuse_tag blob;
create index authorization_reusable on authorization (reuse_tag) where reuse_tag is not null;
