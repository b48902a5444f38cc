//! Crashes: whatever a client was told survives them, and nothing is done twice.

mod kills;
mod load;
mod restored;
mod steps;
