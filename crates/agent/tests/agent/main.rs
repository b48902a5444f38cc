//! The program and the library against Pebble, a real CA that is meant to hurt clients: it refuses one good nonce in
//! twenty, has other URLs than anybody, and finishes orders only after a while.

mod environment;
mod kill;
mod obtain;
mod webroot;
