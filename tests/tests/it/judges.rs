//! What other people's verifiers and linters say.

mod openssl;
mod pkilint;
