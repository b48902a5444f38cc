-- An account's orders: the list that RFC 8555 asks for, and what an account has proven.
create index orders_account on orders (account);
