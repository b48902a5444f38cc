//! Rust source taken apart into code and string literals, so that a rule about code is not set off by a
//! comment or a text, and a rule about texts sees only texts.
//!
//! It knows comments (nested too), strings of every prefix, raw strings, characters and lifetimes; it does not
//! parse the language.

/// The parts of one source file.
#[derive(Debug, Default)]
pub(crate) struct RustText {
    /// The source with comments and the insides of literals left out; line for line as the original.
    pub(crate) code: String,
    /// The string literals, escapes as written.
    pub(crate) literals: Vec<Literal>,
}

/// One string literal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Line on which it begins, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl RustText {
    /// Takes a source text apart. Text that is not Rust gives something harmless.
    pub(crate) fn read(source: &str) -> Self {
        let mut reader = Reader {
            rest: source.chars().collect(),
            at: 0,
            line: 1,
            text: Self::default(),
        };
        while reader.step() {}
        reader.text
    }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    line: usize,
    text: RustText,
}

impl Reader {
    /// Reads one piece; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(character) = self.ahead(0) else {
            return false;
        };
        match character {
            '/' if self.ahead(1) == Some('/') => self.line_comment(),
            '/' if self.ahead(1) == Some('*') => self.block_comment(),
            '"' => self.string(),
            '\'' => self.character_or_lifetime(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            _ => self.keep(),
        }
        true
    }

    fn ahead(&self, distance: usize) -> Option<char> {
        self.rest.get(self.at + distance).copied()
    }

    /// Takes one character and keeps it as code.
    fn keep(&mut self) {
        if let Some(character) = self.skip() {
            // The line break itself was kept by `skip`.
            if character != '\n' {
                self.text.code.push(character);
            }
        }
    }

    /// Takes one character without keeping it; lines stay countable.
    fn skip(&mut self) -> Option<char> {
        let character = self.ahead(0)?;
        self.at += 1;
        if character == '\n' {
            self.line += 1;
            self.text.code.push('\n');
        }
        Some(character)
    }

    fn line_comment(&mut self) {
        while self.ahead(0).is_some_and(|character| character != '\n') {
            self.skip();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            let step = match (self.ahead(0), self.ahead(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    2
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    2
                }
                (Some(_), _) => 1,
                (None, _) => return,
            };
            for _ in 0..step {
                self.skip();
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// An identifier or keyword, or the prefix of a raw string.
    fn word(&mut self) {
        let start = self.at;
        while self
            .ahead(0)
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
        {
            self.keep();
        }
        let word: String = self
            .rest
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        if matches!(word.as_str(), "r" | "br" | "cr") {
            let mut hashes = 0;
            while self.ahead(hashes) == Some('#') {
                hashes += 1;
            }
            if self.ahead(hashes) == Some('"') {
                self.raw_string(hashes);
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        self.keep();
        let mut text = String::new();
        loop {
            match self.skip() {
                Some('"') => break,
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.skip());
                }
                Some(character) => text.push(character),
                None => return,
            }
        }
        self.text.code.push('"');
        self.text.literals.push(Literal { line, text });
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        for _ in 0..=hashes {
            self.keep();
        }
        let mut text = String::new();
        loop {
            let Some(character) = self.skip() else { return };
            let closes = character == '"' && (0..hashes).all(|n| self.ahead(n) == Some('#'));
            if closes {
                break;
            }
            text.push(character);
        }
        self.text.code.push('"');
        for _ in 0..hashes {
            self.keep();
        }
        self.text.literals.push(Literal { line, text });
    }

    fn character_or_lifetime(&mut self) {
        self.keep();
        let escaped = self.ahead(0) == Some('\\');
        if !escaped && self.ahead(1) != Some('\'') {
            return; // a lifetime or a label: its name is read as a word
        }
        if escaped {
            self.skip();
        }
        self.skip();
        // '\u{1F600}' and '\x7f' are longer than one character.
        while self
            .ahead(0)
            .is_some_and(|character| character != '\'' && character != '\n')
        {
            self.skip();
        }
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, code: &str, literals: &[(usize, &str)]) {
        let text = RustText::read(source);
        assert_eq!(text.code, code, "code of {source}");
        let seen: Vec<_> = text
            .literals
            .iter()
            .map(|l| (l.line, l.text.as_str()))
            .collect();
        assert_eq!(seen, literals, "literals of {source}");
    }

    #[test]
    fn comments_are_left_out_and_lines_stay() {
        check("a // b \"c\"\nd", "a \nd", &[]);
        check("a /* b /* c */ \n d */ e", "a \n e", &[]);
        check("/// doc dbg!(x)\nfn", "\nfn", &[]);
        check("a /* open", "a ", &[]);
    }

    #[test]
    fn strings_are_taken_out_of_the_code() {
        check(
            r#"f("a \" // b", 1)"#,
            r#"f("", 1)"#,
            &[(1, r#"a \" // b"#)],
        );
        check("x\nb\"one\ntwo\" y", "x\nb\"\n\" y", &[(2, "one\ntwo")]);
        check(
            r###"r#"a "quoted" b"# + r"c\" d"###,
            r###"r#""# + r"" d"###,
            &[(1, r#"a "quoted" b"#), (1, r"c\")],
        );
    }

    #[test]
    fn characters_and_lifetimes_do_not_open_strings() {
        check(r#"'"' "a""#, r#"'' """#, &[(1, "a")]);
        check(r"'\'' b'\\' '\u{1F600}' 'ß'", "'' b'' '' ''", &[]);
        check(
            "fn f<'a>(x: &'a str) -> &'static str",
            "fn f<'a>(x: &'a str) -> &'static str",
            &[],
        );
    }

    #[test]
    fn a_raw_identifier_is_no_raw_string() {
        check("r#type = 1", "r#type = 1", &[]);
        check("bar(\"x\")", "bar(\"\")", &[(1, "x")]);
    }
}
