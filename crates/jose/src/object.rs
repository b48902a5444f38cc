use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};

use crate::JwsError;

/// Nesting of JSON that is followed. Nothing in ACME goes past 5; what does is built to hurt a parser.
pub const DEPTH_MAX: usize = 16;

/// Members of one object. A JWK with every registered parameter has 20; a header 8.
const MEMBERS_MAX: usize = 32;

/// Whether JSON text nests arrays and objects deeper than `depth_max`, in one pass without recursion.
///
/// Text that is no JSON gets some answer; the parser that reads it next refuses it.
#[must_use]
pub fn nested_deeper_than(depth_max: usize, json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth = depth.saturating_add(1);
                if depth > depth_max {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// What is done with the members of one JSON object while it is read. Names come once each, in the order of the text.
pub(crate) trait Members<'de> {
    /// The object's name in errors.
    const PART: &'static str;

    /// Reads, ignores or refuses the value of member `name`.
    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        member: Member<'_, A>,
    ) -> Result<(), A::Error>;
}

/// The value of a member that has not been read yet.
pub(crate) struct Member<'m, A> {
    part: &'static str,
    map: &'m mut A,
    refusal: &'m mut Option<JwsError>,
}

impl<'de, A: MapAccess<'de>> Member<'_, A> {
    /// Reads a string, without a copy unless it holds an escape.
    pub(crate) fn text(self) -> Result<Cow<'de, str>, A::Error> {
        self.map.next_value::<Text<'de>>().map(|text| text.0)
    }

    /// Reads an object.
    pub(crate) fn object<M: Members<'de>>(self, members: &mut M) -> Result<(), A::Error> {
        self.map.next_value_seed(Object {
            members,
            refusal: self.refusal,
        })
    }

    /// Passes over a value of any kind.
    pub(crate) fn ignore(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(|_| ())
    }

    /// Ends the reading for a reason of ours.
    pub(crate) fn refuse<T>(self, fault: &'static str) -> Result<T, A::Error> {
        *self.refusal = Some(JwsError::malformed(self.part, fault));
        Err(A::Error::custom(fault))
    }
}

/// Reads `source` as one object into `members`.
pub(crate) fn read<'de, D, M>(source: D, members: &mut M) -> Result<(), JwsError>
where
    D: Deserializer<'de, Error = serde_json::Error>,
    M: Members<'de>,
{
    let mut refusal = None;
    let outcome = Object {
        members,
        refusal: &mut refusal,
    }
    .deserialize(source);
    outcome.map_err(|error| refusal.unwrap_or_else(|| syntax::<M>(&error)))
}

/// Reads a whole JSON text as one object into `members`.
pub(crate) fn read_text<'de, M: Members<'de>>(
    json: &'de [u8],
    members: &mut M,
) -> Result<(), JwsError> {
    let mut source = serde_json::Deserializer::from_slice(json);
    read(&mut source, members)?;
    source.end().map_err(|error| syntax::<M>(&error))
}

/// serde's own text is dropped: it quotes the message.
fn syntax<'de, M: Members<'de>>(error: &serde_json::Error) -> JwsError {
    let fault = if error.is_data() {
        "a value has the wrong type"
    } else {
        "not valid JSON"
    };
    JwsError::malformed(M::PART, fault)
}

struct Object<'m, M> {
    members: &'m mut M,
    refusal: &'m mut Option<JwsError>,
}

impl<'de, M: Members<'de>> DeserializeSeed<'de> for Object<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_map(self)
    }
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // On the stack: two of these objects are read for every request.
        let mut seen: [Cow<'de, str>; MEMBERS_MAX] = std::array::from_fn(|_| Cow::Borrowed(""));
        let mut count = 0_usize;
        while let Some(Text(name)) = map.next_key()? {
            let member = Member {
                part: M::PART,
                map: &mut map,
                refusal: &mut *self.refusal,
            };
            if seen.iter().take(count).any(|earlier| *earlier == name) {
                return member.refuse("a member occurs twice");
            }
            let Some(free) = seen.get_mut(count) else {
                return member.refuse("too many members");
            };
            self.members.take(&name, member)?;
            *free = name;
            count = count.saturating_add(1);
        }
        Ok(())
    }
}

/// A JSON string. serde's own `Cow` always copies.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b8_depth_is_counted_outside_strings_only() {
        assert!(!nested_deeper_than(2, br#"{"a":["[[[[","\"[[["]}"#));
        assert!(nested_deeper_than(1, br#"{"a":[]}"#));
        assert!(!nested_deeper_than(1, b"[][][]{}"));
        assert!(nested_deeper_than(DEPTH_MAX, &[b'['; 65536]));
        assert!(!nested_deeper_than(DEPTH_MAX, &[b'['; DEPTH_MAX]));
        assert!(!nested_deeper_than(DEPTH_MAX, &[b']'; 65536]));
    }
}
