use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Unit of `st_blocks`, whatever the file system's block size.
const BLOCK_OCTETS: u64 = 512;
/// Far more than any of the servers makes in one run; a bound against a loop in the file system.
const ENTRIES_MAX: usize = 2_000_000;

/// Octets on disk by the first name below a folder: `chancery.db`, `journal`, …
pub(crate) type Stored = BTreeMap<String, u64>;

/// What the files below `folder` take on disk. Files that come and go meanwhile may be missed.
pub(crate) fn stored(folder: &Path) -> Stored {
    let mut stored = Stored::new();
    let mut entries_left = ENTRIES_MAX;
    let Ok(listing) = std::fs::read_dir(folder) else {
        return stored;
    };
    for entry in listing.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        stored.insert(name, below(&entry.path(), &mut entries_left));
    }
    stored
}

/// Octets added from `before` to `after`, by entry; entries that did not change are left out.
pub(crate) fn growth(before: &Stored, after: &Stored) -> BTreeMap<String, i64> {
    let octets = |stored: &Stored, name: &String| {
        i64::try_from(stored.get(name).copied().unwrap_or_default()).unwrap_or(i64::MAX)
    };
    before
        .keys()
        .chain(after.keys())
        .map(|name| (name.clone(), octets(after, name) - octets(before, name)))
        .filter(|(_, grown)| *grown != 0)
        .collect()
}

fn below(path: &Path, entries_left: &mut usize) -> u64 {
    let mut octets = 0;
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        if *entries_left == 0 {
            return octets;
        }
        *entries_left -= 1;
        let Ok(facts) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        octets += on_disk(&facts);
        if facts.is_dir() {
            let listing = std::fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(listing.map(|entry| entry.path()));
        }
    }
    octets
}

fn on_disk(facts: &Metadata) -> u64 {
    facts.blocks() * BLOCK_OCTETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn growth_is_told_by_entry_and_folders_are_summed() {
        let scratch = Scratch::new(&std::env::temp_dir()).expect("made");
        scratch.write("same", vec![1; 5000]).expect("written");
        std::fs::create_dir(scratch.path().join("journal")).expect("made");
        let before = stored(scratch.path());
        scratch
            .write("journal/1", vec![1; 100_000])
            .expect("written");
        scratch
            .write("journal/2", vec![1; 100_000])
            .expect("written");
        let grown = growth(&before, &stored(scratch.path()));
        assert_eq!(grown.keys().collect::<Vec<_>>(), ["journal"]);
        assert!((200_000..300_000).contains(&grown["journal"]), "{grown:?}");
    }

    #[test]
    fn what_is_gone_counts_as_less() {
        let before = Stored::from([("wal".to_owned(), 4096)]);
        assert_eq!(
            growth(&before, &Stored::new()),
            BTreeMap::from([("wal".to_owned(), -4096)])
        );
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        assert!(stored(Path::new("/nonexistent/folder")).is_empty());
    }
}
