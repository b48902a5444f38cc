//! How values are written in JSON: modules for `#[serde(with = "…")]`.

/// DER or other bytes as base64url without padding (RFC 8555 §6.1).
pub(crate) mod base64url {
    use std::borrow::Cow;

    use chancery_jose::{b64, unb64};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(&b64(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'de, str>::deserialize(source)?;
        unb64(&text).map_err(D::Error::custom)
    }
}

/// An optional time as RFC 3339 in UTC (RFC 8555 §7.1.3).
pub(crate) mod optional_time {
    use std::borrow::Cow;

    use chancery_pki::UnixTime;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<UnixTime>,
        target: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => target.serialize_str(&time.to_rfc3339()),
            None => target.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<UnixTime>, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(source)?;
        text.map(|text| UnixTime::parse_rfc3339(&text).map_err(D::Error::custom))
            .transpose()
    }
}

/// A time as RFC 3339 in UTC.
pub(crate) mod time {
    use std::borrow::Cow;

    use chancery_pki::UnixTime;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &UnixTime, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(&time.to_rfc3339())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<UnixTime, D::Error> {
        let text = Cow::<'de, str>::deserialize(source)?;
        UnixTime::parse_rfc3339(&text).map_err(D::Error::custom)
    }
}

/// For `skip_serializing_if`: flags are written only when they are set.
pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}
