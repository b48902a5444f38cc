use std::fmt;
use std::marker::PhantomData;

use chancery_jose::{DEPTH_MAX, nested_deeper_than};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

/// Octets of one JSON object that are read at all. It is the payload of a request of the same limit, or an order of
/// 100 long names.
pub const JSON_BYTES_MAX: usize = 64 * 1024;

/// Identifiers that are read of one order. Policies allow far fewer; this bounds what they have to look at.
pub const IDENTIFIERS_READ_MAX: usize = 1000;

/// Contacts that are read of one account.
pub const CONTACTS_READ_MAX: usize = 100;

/// Characters of the JSON library's own message that are passed on.
const REASON_CHARS_MAX: usize = 120;

/// Why JSON was not read. An ACME server answers `malformed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More bytes than are read at all.
    #[error("the JSON has {bytes} bytes; at most {bytes_max} are read")]
    TooLarge {
        /// Bytes seen.
        bytes: usize,
        /// Bytes accepted.
        bytes_max: usize,
    },
    /// Arrays and objects inside each other, beyond what any message needs.
    #[error("the JSON is nested deeper than {depth_max} levels")]
    TooDeep {
        /// Levels accepted.
        depth_max: usize,
    },
    /// Something else than an object.
    #[error("the JSON is not an object")]
    NotAnObject,
    /// Not JSON, or not the members that the message needs.
    #[error("the JSON is not the object that belongs here: {reason}")]
    Invalid {
        /// What is wrong and where; short printable ASCII.
        reason: String,
    },
}

/// Reads one JSON object that somebody else wrote.
///
/// # Errors
/// [`JsonError`], each limit before the work that it limits.
pub fn from_slice_bounded<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    if json.len() > JSON_BYTES_MAX {
        return Err(JsonError::TooLarge {
            bytes: json.len(),
            bytes_max: JSON_BYTES_MAX,
        });
    }
    if nested_deeper_than(DEPTH_MAX, json) {
        return Err(JsonError::TooDeep {
            depth_max: DEPTH_MAX,
        });
    }
    // serde would also fill a struct from an array, member by member.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(JsonError::NotAnObject);
    }
    serde_json::from_slice(json).map_err(|error| JsonError::Invalid {
        reason: reason(&error),
    })
}

/// The library's message helps whoever wrote the client, but it can quote what they sent.
fn reason(error: &serde_json::Error) -> String {
    let printable = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '?'
        }
    };
    error
        .to_string()
        .chars()
        .take(REASON_CHARS_MAX)
        .map(printable)
        .collect()
}

/// For `deserialize_with`: an array of at most `MAX` strings; `null` is an empty one, as some clients write it.
pub(crate) fn strings<'de, const MAX: usize, D>(source: D) -> Result<Vec<String>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::<Bounded<String, MAX>>::deserialize(source)
        .map(|list| list.map_or_else(Vec::new, |list| list.0))
}

/// For `deserialize_with`: an optional array of at most `MAX` strings.
pub(crate) fn optional_strings<'de, const MAX: usize, D>(
    source: D,
) -> Result<Option<Vec<String>>, D::Error>
where
    D: Deserializer<'de>,
{
    Option::<Bounded<String, MAX>>::deserialize(source).map(|list| list.map(|list| list.0))
}

/// For `deserialize_with`: an array of at most `MAX` objects, each of them written as an object.
pub(crate) fn objects<'de, const MAX: usize, T, D>(source: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Bounded::<Object<T>, MAX>::deserialize(source)
        .map(|list| list.0.into_iter().map(|object| object.0).collect())
}

struct Bounded<T, const MAX: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source
            .deserialize_seq(BoundedVisitor::<T, MAX>(PhantomData))
            .map(Self)
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(format_args!(
                    "an array has more than {MAX} elements"
                )));
            }
            list.push(element);
        }
        Ok(list)
    }
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::{AccountUpdate, Finalize, NewAccount, NewOrder, Order, Problem, RevokeRequest};

    fn order(json: &str) -> Result<NewOrder, JsonError> {
        from_slice_bounded(json.as_bytes())
    }

    fn reason_of(json: &str) -> String {
        match order(json) {
            Err(JsonError::Invalid { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// Row B8 allows 50 ms of processor time; wall time on a busy machine is given three tries.
    fn refused_quickly(json: &[u8]) -> JsonError {
        let mut error = None;
        let quickest = (0..3).map(|_| {
            let start = Instant::now();
            error = from_slice_bounded::<NewOrder>(json).err();
            start.elapsed()
        });
        assert!(quickest.min() < Some(Duration::from_millis(50)));
        error.expect("must be refused")
    }

    #[test]
    fn b8_a_payload_over_64_kib_is_not_read() {
        let too_large = JsonError::TooLarge {
            bytes: JSON_BYTES_MAX + 1,
            bytes_max: JSON_BYTES_MAX,
        };
        assert_eq!(refused_quickly(&[b' '; JSON_BYTES_MAX + 1]), too_large);
        let names = r#"{"type":"dns","value":"a"},"#.repeat(100_000);
        let json = format!(r#"{{"identifiers":[{names}]}}"#);
        assert!(matches!(
            refused_quickly(json.as_bytes()),
            JsonError::TooLarge { .. }
        ));
    }

    #[test]
    fn b8_deep_nesting_is_refused_before_it_is_read() {
        let too_deep = JsonError::TooDeep {
            depth_max: DEPTH_MAX,
        };
        assert_eq!(refused_quickly(&[b'['; JSON_BYTES_MAX]), too_deep);
        assert_eq!(
            refused_quickly(r#"{"a":"#.repeat(13_000).as_bytes()),
            too_deep
        );
        let (open, close) = ("[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
        let ignored = format!(r#"{{"identifiers":[],"other":{open}{close}}}"#);
        assert_eq!(refused_quickly(ignored.as_bytes()), too_deep);
    }

    #[test]
    fn b8_more_identifiers_than_are_read_end_the_reading() {
        let with = |count: usize| {
            let names = vec![r#"{"type":"dns","value":"a"}"#; count].join(",");
            format!(r#"{{"identifiers":[{names}]}}"#)
        };
        assert_eq!(
            order(&with(IDENTIFIERS_READ_MAX)).map(|order| order.identifiers.len()),
            Ok(1000)
        );
        let reason = reason_of(&with(IDENTIFIERS_READ_MAX + 1));
        assert!(
            reason.starts_with("an array has more than 1000 elements"),
            "{reason}"
        );
        let contacts = format!(
            r#"{{"contact":[{}]}}"#,
            vec![r#""x""#; CONTACTS_READ_MAX + 1].join(",")
        );
        assert!(from_slice_bounded::<NewAccount>(contacts.as_bytes()).is_err());
        assert!(from_slice_bounded::<AccountUpdate>(contacts.as_bytes()).is_err());
    }

    #[test]
    fn only_objects_are_read_as_objects() {
        for json in [
            "",
            " ",
            "[]",
            r#"[[],null,null,null,null]"#,
            "null",
            "7",
            r#""{}""#,
        ] {
            assert_eq!(order(json), Err(JsonError::NotAnObject), "{json}");
        }
        assert!(reason_of(r#"{"identifiers":[["dns","a.test"]]}"#).starts_with("invalid type"));
        assert!(reason_of(r#"{"identifiers":{}}"#).starts_with("invalid type"));
        assert!(order("\n\t {\"identifiers\":[]}\n").is_ok());
    }

    #[test]
    fn b6_a_member_that_occurs_twice_is_refused() {
        assert!(reason_of(r#"{"identifiers":[],"identifiers":[]}"#).starts_with("duplicate field"));
        let twice = r#"{"identifiers":[{"type":"dns","value":"a.test","value":"b.test"}]}"#;
        assert!(reason_of(twice).starts_with("duplicate field"));
    }

    #[test]
    fn what_is_wrong_is_said_shortly_and_in_printable_characters() {
        assert_eq!(
            reason_of("{}"),
            "missing field `identifiers` at line 1 column 2"
        );
        let long = format!(r#"{{"identifiers":"{}\u001b\u00e9"}}"#, "x".repeat(5000));
        assert_eq!(reason_of(&long).len(), REASON_CHARS_MAX);
        let control = reason_of(r#"{"identifiers":"\u001b[2J\u00e9"}"#);
        assert!(
            control.chars().all(|c| c == ' ' || c.is_ascii_graphic()),
            "{control}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_any_message_panic(bytes: Vec<u8>) {
            let _ = from_slice_bounded::<NewOrder>(&bytes);
            let _ = from_slice_bounded::<Problem>(&bytes);
        }

        #[test]
        fn a_changed_message_makes_nothing_panic(at: prop::sample::Index, byte in 0x20_u8..0x7f) {
            let mut json = br#"{"identifiers":[{"type":"dns","value":"a.test"}],"notBefore":"2026-01-31T12:00:00Z",
                "contact":["mailto:a@b.test"],"csr":"AA","certificate":"AA","reason":1,"status":"valid",
                "authorizations":[],"finalize":"https://a.test","type":"x","detail":"y","subproblems":[{}]}"#.to_vec();
            let at = at.index(json.len());
            if let Some(place) = json.get_mut(at) {
                *place = byte;
            }
            let _ = from_slice_bounded::<Value>(&json);
            let _ = from_slice_bounded::<NewOrder>(&json);
            let _ = from_slice_bounded::<NewAccount>(&json);
            let _ = from_slice_bounded::<Finalize>(&json);
            let _ = from_slice_bounded::<RevokeRequest>(&json);
            let _ = from_slice_bounded::<Order>(&json);
            let _ = from_slice_bounded::<Problem>(&json);
        }
    }
}
