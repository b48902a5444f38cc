//! What came out, for people and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Check, Level, Verdict};

/// One server and what was found about it.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub server: String,
    /// Every statement that was asked, by number.
    pub found: Vec<(&'static Check, Verdict)>,
}

/// What was found about one server or several, which were asked the same.
#[derive(Debug, Default)]
pub struct Report {
    /// The servers, in the order in which they were asked.
    pub columns: Vec<Column>,
}

impl Column {
    /// How many statements hold, hold in part, fail, and could not be asked.
    #[must_use]
    pub fn totals(&self) -> [usize; 4] {
        let mut totals = [0; 4];
        for (_, verdict) in &self.found {
            let [holds, partly, fails, not_offered] = &mut totals;
            *match verdict {
                Verdict::Holds => holds,
                Verdict::Partly(_) => partly,
                Verdict::Fails(_) => fails,
                Verdict::NotOffered(_) => not_offered,
            } += 1;
        }
        totals
    }

    /// The statements that fail.
    pub fn failing(&self) -> impl Iterator<Item = (&'static Check, &str)> {
        self.found
            .iter()
            .filter_map(|(check, verdict)| match verdict {
                Verdict::Fails(why) => Some((*check, why.as_str())),
                Verdict::Holds | Verdict::Partly(_) | Verdict::NotOffered(_) => None,
            })
    }

    /// Whether everything holds that the RFC demands and that could be asked.
    #[must_use]
    pub fn is_conforming(&self) -> bool {
        !self.failing().any(|(check, _)| check.level == Level::Must)
    }

    fn summary(&self) -> String {
        let [holds, partly, fails, not_offered] = self.totals();
        let demanded = self
            .failing()
            .filter(|(check, _)| check.level == Level::Must);
        format!(
            "{}: {holds} hold, {partly} in part, {fails} fail ({} of them demanded), {not_offered} could not be asked",
            self.server,
            demanded.count()
        )
    }
}

impl Report {
    /// For a terminal: section by section, one line a statement, and one line a server at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for column in &self.columns {
            for section in sections(column) {
                let _ = writeln!(text, "{} {section}", column.server);
                let of_it = column.found.iter().filter(|(c, _)| c.section == section);
                for (check, verdict) in of_it {
                    let _ = writeln!(text, "  {}", line(check, verdict));
                }
            }
        }
        for column in &self.columns {
            let _ = writeln!(text, "{}", column.summary());
        }
        text
    }

    /// For programs: an object for each server.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let statement = |(check, verdict): &(&'static Check, Verdict)| {
            let (word, why) = in_words(verdict);
            json!({
                "number": check.number,
                "section": check.section,
                "level": check.level.word(),
                "says": check.says,
                "verdict": word,
                "why": why,
            })
        };
        let columns = self.columns.iter().map(|column| {
            let [holds, partly, fails, not_offered] = column.totals();
            let found: Vec<Value> = column.found.iter().map(statement).collect();
            json!({
                "server": column.server,
                "holds": holds,
                "partly": partly,
                "fails": fails,
                "not_offered": not_offered,
                "statements": found,
            })
        });
        Value::from(columns.collect::<Vec<_>>())
    }

    /// For the documentation: a table with a column for each server, and below it why.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::from(HEAD);
        for column in &self.columns {
            let _ = writeln!(text, "- {}", column.summary());
        }
        let names: Vec<&str> = self.columns.iter().map(|c| c.server.as_str()).collect();
        let rules = "---|".repeat(names.len());
        let _ = writeln!(text, "\n## The statements\n");
        let _ = writeln!(
            text,
            "| | section | level | statement | {} |",
            names.join(" | ")
        );
        let _ = writeln!(text, "|---|---|---|---|{rules}");
        for (row, (check, _)) in self.first().iter().enumerate() {
            let cells = self.columns.iter().filter_map(|c| c.found.get(row));
            let cells: Vec<&str> = cells.map(|(_, verdict)| in_words(verdict).0).collect();
            let Check {
                number,
                section,
                says,
                ..
            } = check;
            let level = check.level.word();
            let cells = cells.join(" | ");
            let _ = writeln!(
                text,
                "| {number} | {section} | {level} | {says} | {cells} |"
            );
        }
        for column in &self.columns {
            explain(&mut text, column);
        }
        text
    }

    fn first(&self) -> &[(&'static Check, Verdict)] {
        let first = self.columns.first().map(|column| column.found.as_slice());
        first.unwrap_or_default()
    }
}

/// What stands above every table.
const HEAD: &str = "\
# Conformance

What RFC 8555 says about a server, statement by statement, as `cargo xtask conform` finds it from outside: raw HTTP and
JWS in, answers judged. The numbers are those of our reading of the RFC; those that only concern clients are missing.
*must* and *should* are the RFC's words, *own* is our addition where it is silent. `holds` and `fails` are what was seen;
`partly` means that what is demanded holds and what is recommended beside it does not; `-` means that it could not be
asked. The lists below the table say why. Chancery and Debian's `pebble` are started and examined
by `cargo xtask conform --server chancery --server pebble --markdown docs/conformance.md`, which makes this page; any
other server by `--url` (`--help` tells the rest). That pebble, made to train clients, fails some is what shows that the
suite can see a failure.

";

fn explain(text: &mut String, column: &Column) {
    let cases = [
        ("fails", "What fails"),
        ("partly", "What is recommended and fails"),
        ("-", "What could not be asked"),
    ];
    for (wanted, title) in cases {
        let reasons = column.found.iter().filter_map(|(check, verdict)| {
            let (word, why) = in_words(verdict);
            (word == wanted)
                .then(|| format!("- {} ({}): {}\n", check.number, check.section, plain(why)))
        });
        let reasons: String = reasons.collect();
        if !reasons.is_empty() {
            let _ = write!(text, "\n## {title}: {}\n\n{reasons}", column.server);
        }
    }
}

/// Without what differs from run to run (addresses, names and ids), so that the page changes only when a finding does.
fn plain(why: &str) -> String {
    const ID_LEN_MIN: usize = 12;
    let in_url = |c: char| !c.is_whitespace() && !"\"',()[]{}".contains(c);
    let words = why.split_inclusive(|c: char| !in_url(c));
    let words = words.map(|word| {
        let text = word.trim_end_matches(|c| !in_url(c) || c == ':');
        let end = word.get(text.len()..).unwrap_or_default();
        let is_url = text.starts_with("https://") || text.starts_with("http://");
        let text = if is_url { "URL" } else { text };
        let id = text.rsplit('/').next().unwrap_or_default();
        let label = id.split('.').next().unwrap_or_default();
        let is_id = label.len() >= ID_LEN_MIN && label.contains(|c: char| c.is_ascii_digit());
        let text = match text.strip_suffix(id) {
            Some(before) if is_id => format!("{before}…"),
            _ => text.to_owned(),
        };
        format!("{text}{end}")
    });
    words.collect::<String>().replace('|', "/")
}

fn sections(column: &Column) -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = Vec::new();
    for (check, _) in &column.found {
        if !sections.contains(&check.section) {
            sections.push(check.section);
        }
    }
    sections
}

fn in_words(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Holds => ("holds", ""),
        Verdict::Partly(why) => ("partly", why),
        Verdict::Fails(why) => ("fails", why),
        Verdict::NotOffered(why) => ("-", why),
    }
}

/// One statement with its verdict.
pub(super) fn line(check: &Check, verdict: &Verdict) -> String {
    let (word, why) = in_words(verdict);
    let level = check.level.word();
    let why = if why.is_empty() {
        String::new()
    } else {
        format!("\n             {why}")
    };
    format!(
        "{word:>6} {:>3} {level:<6} {}{why}",
        check.number, check.says
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::checks;

    fn report() -> Report {
        let all = checks();
        let verdicts = [
            Verdict::Holds,
            Verdict::Fails(
                "\"https://127.0.0.1:4000/a|b\", not /cert/0d854b29f8b9ebdd: 404".to_owned(),
            ),
            Verdict::Partly("it does not say when".to_owned()),
            Verdict::NotOffered("nobody can see it".to_owned()),
        ];
        let found = all.into_iter().zip(verdicts).collect();
        Report {
            columns: vec![Column {
                server: "ours".to_owned(),
                found,
            }],
        }
    }

    #[test]
    fn every_verdict_is_counted_and_explained() {
        let report = report();
        assert_eq!(report.columns[0].totals(), [1, 1, 1, 1]);
        assert!(!report.columns[0].is_conforming());
        let text = report.to_text();
        assert!(text.ends_with(
            "ours: 1 hold, 1 in part, 1 fail (1 of them demanded), 1 could not be asked\n"
        ));
        assert!(text.contains("nobody can see it"), "{text}");
        assert_eq!(report.to_json()[0]["statements"][1]["verdict"], "fails");
    }

    #[test]
    fn the_page_has_a_row_for_each_statement_and_nothing_of_one_run_only() {
        let page = report().to_markdown();
        assert!(page.contains("| 2 | §6.1 | must |"), "{page}");
        assert!(
            page.contains("- 2 (§6.1): \"URL\", not /cert/…: 404\n"),
            "{page}"
        );
        assert!(!page.contains("127.0.0.1"), "{page}");
    }
}
