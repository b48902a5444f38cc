//! The authority from outside, story by story: other people's clients and judges, the first run and what can go wrong
//! with it, the protocol in hostile hands, and crashes.

mod clients;
mod conformance;
mod crash;
mod first_run;
mod judges;
mod protocol;
