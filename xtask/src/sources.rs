//! What source files may not contain: unfinished marks, SQL outside the store, more than a reader can hold.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::metadata::Metadata;
use crate::rust_text::RustText;
use crate::workspace::Workspace;

/// What stands in unfinished code, or turns a test off.
const MARKS: &[&str] = &["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
/// A longer file holds more than one idea.
const LINES_MAX: usize = 700;
/// No source of ours comes near; something else has been put under this name.
const BYTES_MAX: u64 = 4 << 20;
/// Depth of folders below a crate.
const DEPTH_MAX: usize = 16;
/// Endings of what people write; data (vectors, snapshots) may be long.
const WRITTEN: &[&str] = &["rs", "sql", "py", "js", "mjs", "sh", "html", "css"];
/// The one crate with SQL.
const SQL_CRATE: &str = "chancery-store";

/// How a statement begins, and what must follow somewhere in it.
const STATEMENTS: &[(&str, &str)] = &[
    ("select ", " from "),
    ("insert into ", ""),
    ("insert or ", " into "),
    ("update ", " set "),
    ("delete from ", ""),
    ("create table ", ""),
    ("create index ", ""),
    ("create unique index ", ""),
    ("alter table ", ""),
    ("drop table ", ""),
    ("pragma ", ""),
    ("vacuum into ", ""),
];

/// Checks every source file of the workspace; each text is one thing that is not allowed.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let metadata = Metadata::of_members(workspace)?;
    let mut findings = Vec::new();
    for package in metadata.members() {
        for path in files_below(&package.folder)? {
            let name = path
                .strip_prefix(workspace.root())
                .unwrap_or(&path)
                .display()
                .to_string();
            let text = read(&path)?;
            findings.extend(length_finding(&name, &text));
            if package.name != SQL_CRATE && name.ends_with(".sql") {
                findings.push(format!("{name}: only {SQL_CRATE} has SQL"));
            }
            if name.ends_with(".rs") {
                findings.extend(rust_findings(&name, &text, package.name == SQL_CRATE));
            }
        }
    }
    Ok(findings)
}

fn length_finding(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX)
        .then(|| format!("{name}: {lines} lines; {LINES_MAX} is the most a file may have"))
}

fn rust_findings(name: &str, text: &str, may_have_sql: bool) -> Vec<String> {
    let text = RustText::read(text);
    let mut findings = Vec::new();
    for (index, line) in text.code.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            findings.push(format!("{name}:{}: `{mark}` is unfinished work", index + 1));
        }
    }
    for literal in text
        .literals
        .iter()
        .filter(|literal| !may_have_sql && is_sql(&literal.text))
    {
        findings.push(format!("{name}:{}: only {SQL_CRATE} has SQL", literal.line));
    }
    findings
}

/// Whether a text is a statement of SQL.
fn is_sql(text: &str) -> bool {
    // A literal that runs over several lines has `\` at their ends.
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == '\\')
        .collect();
    let text = words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let text = text.to_lowercase();
    STATEMENTS
        .iter()
        .any(|(begin, within)| text.starts_with(begin) && text.contains(within))
}

/// The written files below a crate's folder, ascending; hidden folders and what was built are left out.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_path_buf(), DEPTH_MAX)];
    while let Some((folder, depth)) = open.pop() {
        let failed = |source| Error::File {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let (path, name) = (entry.path(), entry.file_name());
            if kind.is_dir() && depth > 0 && !is_left_out(&name.to_string_lossy()) {
                open.push((path, depth - 1));
            } else if kind.is_file() && is_written(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_left_out(folder: &str) -> bool {
    folder.starts_with('.') || folder == "target" || folder == "node_modules"
}

fn is_written(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| WRITTEN.iter().any(|written| ending == *written))
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File {
        path: path.to_path_buf(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        let reason = format!("{} is over 4 MiB", path.display());
        return Err(Error::Malformed {
            what: "a source file",
            reason,
        });
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, findings: &[&str]) {
        assert_eq!(rust_findings("a.rs", source, false), findings, "{source}");
    }

    #[test]
    fn unfinished_marks_are_found_in_code_alone() {
        check(
            "fn a() {\n    todo!()\n}",
            &["a.rs:2: `todo!(` is unfinished work"],
        );
        check(
            "#[ignore = \"slow\"]",
            &["a.rs:1: `#[ignore` is unfinished work"],
        );
        check("dbg!(x);", &["a.rs:1: `dbg!(` is unfinished work"]);
        check("// todo!() was here\nlet text = \"dbg!(x)\";", &[]);
    }

    #[test]
    fn sql_is_found_in_texts_alone() {
        let sql = concat!("db.run(\"sel", "ect id\n  from orders\")");
        check(sql, &["a.rs:1: only chancery-store has SQL"]);
        assert_eq!(rust_findings("a.rs", sql, true), Vec::<String>::new());
        check("// select id from orders", &[]);
        check(
            "say(\"select a profile\"); say(\"update of the account\");",
            &[],
        );
    }

    #[test]
    fn statements_are_known_by_their_beginning() {
        for (begin, within) in STATEMENTS {
            assert!(
                is_sql(&format!("\n  {}x{within}y", begin.to_uppercase())),
                "{begin}"
            );
        }
        assert!(is_sql(concat!("upd", "ate orders \\\n set status = 1")));
        assert!(!is_sql("the select list comes from the table"));
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        assert_eq!(length_finding("a.rs", &"x\n".repeat(LINES_MAX)), None);
        let finding = length_finding("a.rs", &"x\n".repeat(LINES_MAX + 1));
        assert_eq!(
            finding.as_deref(),
            Some("a.rs: 701 lines; 700 is the most a file may have")
        );
    }

    #[test]
    fn only_what_people_write_is_read() {
        assert!(is_written(Path::new("src/main.rs")) && is_written(Path::new("m/0001.sql")));
        assert!(!is_written(Path::new("vectors/jws.json")));
        assert!(is_left_out("target") && is_left_out(".git") && !is_left_out("src"));
    }
}
