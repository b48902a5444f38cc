use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};

use crate::DialError;
use crate::answer::{kind_name, shown};
use crate::deadline::Elapsed;
use crate::error::{bounded, io_cause};

/// What a trace says in the place of an answer.
pub(crate) fn in_short(error: &DialError) -> String {
    match error {
        DialError::NoSuchName { .. } => "NXDOMAIN".to_owned(),
        DialError::NoRecords { .. } => "no records".to_owned(),
        DialError::ServerFailure { code, .. } => code.clone(),
        DialError::NoAnswer { after, .. } => format!("no answer within {after}"),
        other => bounded(other),
    }
}

/// What the library reports, in the words of this crate.
pub(crate) fn failure_of(
    error: &NetError,
    name: &Name,
    kind: RecordType,
    patience: Elapsed,
) -> DialError {
    let (name, kind) = (shown(name), kind_name(kind));
    let unusable = |reason: String| DialError::BadAnswer {
        name: name.clone(),
        kind,
        reason,
    };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DialError::NoSuchName { name, kind },
            ResponseCode::NoError => DialError::NoRecords { name, kind },
            code => DialError::ServerFailure {
                name,
                kind,
                code: code_name(code),
            },
        },
        NetError::Dns(DnsError::ResponseCode(code)) => DialError::ServerFailure {
            name,
            kind,
            code: code_name(*code),
        },
        NetError::Timeout => DialError::NoAnswer {
            name,
            kind,
            after: patience,
        },
        NetError::Io(error) => unusable(format!(
            "the DNS server cannot be reached: {}",
            io_cause(error)
        )),
        NetError::Truncated => unusable("it is truncated, over TCP too".to_owned()),
        NetError::QueryCaseMismatch => {
            unusable("it does not repeat the question as it was spelt".to_owned())
        }
        NetError::Proto(_) => unusable("it is not a well-formed DNS message".to_owned()),
        NetError::ForeignClassRecord { .. } => {
            unusable("it has a record of another class".to_owned())
        }
        NetError::NoConnections => unusable("no DNS server can be reached".to_owned()),
        other => unusable(format!("the look-up failed ({})", other.as_metrics_label())),
    }
}

fn code_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        other => bounded(other),
    }
}
