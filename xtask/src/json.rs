//! A small JSON reader (RFC 8259) for what cargo prints: bounded in size and depth, strict, tree out.

use std::collections::BTreeMap;
use std::fmt;

/// `cargo metadata` of a workspace with 1,000 packages is about 5 MB.
const BYTES_MAX: usize = 64 << 20;
/// Cargo nests about eight deep; the limit keeps the reader's own recursion small.
const DEPTH_MAX: usize = 64;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Json {
    /// The member of an object; `None` when it is absent, null, or this is no object.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name).filter(|value| **value != Self::Null),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The values of an array.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }
}

/// Where and why a text is not JSON that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonError {
    /// Offset in bytes.
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.at)
    }
}

/// Reads one value that fills the whole text.
pub(crate) fn parse(text: &str) -> Result<Json, JsonError> {
    if text.len() > BYTES_MAX {
        return Err(JsonError {
            at: 0,
            reason: "text over 64 MiB",
        });
    }
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH_MAX)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.error("something after the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    /// Always on a character's border: it only moves over whole characters.
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.error("nesting over 64 levels"));
        };
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("no value begins like this")),
            None => Err(self.error("a value is missing")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut members = BTreeMap::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("a member's name is missing"));
            }
            let name = self.string()?;
            self.skip_space();
            self.expect(b':', "a colon is missing")?;
            let value = self.value(depth)?;
            if members.insert(name, value).is_some() {
                return Err(self.error("a member twice"));
            }
            self.skip_space();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            self.expect(b',', "a comma or a closing brace is missing")?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut values = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::List(values));
            }
            self.expect(b',', "a comma or a closing bracket is missing")?;
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(character) = self.next() else {
                return Err(self.error("a string without an end"));
            };
            match character {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\x1f' => return Err(self.error("a control character in a string")),
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        match self.next() {
            Some(plain @ ('"' | '\\' | '/')) => Ok(plain),
            Some('b') => Ok('\x08'),
            Some('f') => Ok('\x0c'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode_escape(),
            _ => Err(self.error("an unknown escape")),
        }
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(self.error("half a surrogate pair"));
            }
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.error("half a surrogate pair"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair"))
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|character| character.to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error("four hex digits are missing"));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let number = digits
            .parse()
            .map_err(|_| self.error("a number out of range"))?;
        Ok(Json::Number(number))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("a digit is missing"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.error("no value begins like this"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.text.get(self.at..)?.chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), JsonError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.error(reason))
        }
    }

    fn error(&self, reason: &'static str) -> JsonError {
        JsonError {
            at: self.at,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, reason: &str) {
        match parse(text) {
            Err(error) => assert_eq!(error.reason, reason, "{text}"),
            Ok(value) => panic!("{text} was taken as {value:?}"),
        }
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let value = parse(r#" { "a": [1, -2.5e1, true, false, null], "b": {}, "c": "x" } "#);
        let value = value.expect("this is JSON");
        let list = value.member("a").and_then(Json::list).expect("a is a list");
        assert_eq!(list[..2], [Json::Number(1.0), Json::Number(-25.0)]);
        assert_eq!(list[2..], [Json::Bool(true), Json::Bool(false), Json::Null]);
        assert_eq!(value.member("b"), Some(&Json::Object(BTreeMap::new())));
        assert_eq!(value.member("c").and_then(Json::text), Some("x"));
        assert_eq!(value.member("d"), None);
    }

    #[test]
    fn a_null_member_counts_as_absent() {
        assert_eq!(
            parse(r#"{"license": null}"#)
                .expect("this is JSON")
                .member("license"),
            None
        );
    }

    #[test]
    fn escapes_and_other_scripts_are_read() {
        let text = r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ß""#;
        assert_eq!(
            parse(text),
            Ok(Json::Text("\"\\/\x08\x0c\n\r\té😀ß".into()))
        );
    }

    #[test]
    fn broken_text_is_refused_with_its_reason() {
        refused("", "a value is missing");
        refused("{} x", "something after the value");
        refused("[1,]", "no value begins like this");
        refused("[1 2]", "a comma or a closing bracket is missing");
        refused(r#"{"a" 1}"#, "a colon is missing");
        refused(r#"{"a":1"#, "a comma or a closing brace is missing");
        refused(r#"{a:1}"#, "a member's name is missing");
        refused(r#"{"a":1,"a":2}"#, "a member twice");
        refused("tru", "no value begins like this");
        refused("01", "something after the value");
        refused("1.", "a digit is missing");
        refused("-", "a digit is missing");
        refused("\"a\nb\"", "a control character in a string");
        refused("\"abc", "a string without an end");
        refused(r#""\x""#, "an unknown escape");
        refused(r#""\u12g4""#, "four hex digits are missing");
        refused(r#""\ud800""#, "half a surrogate pair");
        refused(r#""\ud800\u0041""#, "half a surrogate pair");
        refused(r#""\udc00""#, "half a surrogate pair");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        refused(&nested(DEPTH_MAX + 1), "nesting over 64 levels");
        refused(&"[".repeat(1_000_000), "nesting over 64 levels");
    }

    #[test]
    fn no_cut_of_a_text_makes_the_reader_panic() {
        let text = r#"{"ä":["\u00e9",1e5,{"x":null}],"b":"\ud83d\ude00"}"#;
        for (end, _) in text.char_indices() {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
    }
}
