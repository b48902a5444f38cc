//! The audit trail, read whole.

use std::collections::HashMap;

use chancery_authority::Store;
use chancery_authority::audit::{AuditRecord, Block, Walk};

/// All blocks of node 1; panics where one does not follow from the one before.
pub(crate) async fn blocks(store: &dyn Store) -> Vec<Block> {
    let (mut walk, mut all) = (Walk::default(), Vec::new());
    loop {
        let after = all.last().map_or(0, |block: &Block| block.sequence);
        let found = store.audit(1, after, 1000).await.expect("answers");
        if found.is_empty() {
            return all;
        }
        for block in &found {
            walk.step(block).expect("it follows from the one before");
        }
        all.extend(found);
    }
}

pub(crate) fn records(blocks: &[Block]) -> Vec<AuditRecord> {
    blocks
        .iter()
        .flat_map(|block| block.records().expect("readable"))
        .collect()
}

/// How often each kind of change happened to each object.
pub(crate) fn counted(blocks: &[Block]) -> HashMap<(String, i64), u32> {
    let mut counts = HashMap::new();
    for record in records(blocks) {
        *counts
            .entry((format!("{:?}", record.kind), record.object))
            .or_default() += 1;
    }
    counts
}
