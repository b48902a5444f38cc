use chancery_pki::pem;

use super::samples::world;
use super::{Form, MEMORY_BASE, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "pem",
    run,
    samples,
    tokens: &[
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\n",
        b"-----",
        b"=",
        b"\r\n",
        b"\n\n",
    ],
    form: Form::Bytes,
    memory_base: MEMORY_BASE,
};

const LABEL: &str = "CERTIFICATE";
const BLOCKS_MAX: usize = 10;

/// Reads the input as a chain in PEM; what was read and written again reads as the same.
fn run(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else {
        return Outcome::of("not text");
    };
    let blocks = pem::decode(text, LABEL, BLOCKS_MAX);
    if let Ok(blocks) = &blocks {
        let again: String = blocks
            .iter()
            .map(|block| pem::encode(LABEL, block))
            .collect();
        assert_eq!(pem::decode(&again, LABEL, BLOCKS_MAX).as_ref(), Ok(blocks));
    }
    Outcome::of_result(&blocks).and(Outcome::of_result(&pem::decode(text, "PRIVATE KEY", 1)))
}

fn samples() -> Vec<Vec<u8>> {
    let leaf = pem::encode(LABEL, &world().leaf(&["www.corp.test"]));
    let chain = leaf.clone() + "\n" + &pem::encode(LABEL, world().intermediate.der());
    let windows = pem::encode(LABEL, b"short").replace('\n', "\r\n");
    let key = pem::encode("PRIVATE KEY", &[0x30; 40]);
    [leaf, chain, windows, key].map(String::into_bytes).into()
}
