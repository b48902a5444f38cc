//! CAA, RFC 8659 with RFC 8657: the one place where its records are found and judged.

mod value;

use chancery_authority::caa::CaaQuestion;
use chancery_authority::proof::{FailureKind, Observation};
use chancery_dial::{CaaRecord, Deadline, DialError, Trace};
use chancery_pki::{San, UnixTime};

use crate::Prover;
use crate::fault::Fault;
use crate::observations::Observations;

use value::IssueValue;

/// Issuers of a record set that a refusal names.
const ISSUERS_TOLD_MAX: usize = 5;
/// Characters of a record's text that are told.
const TOLD_CHARS_MAX: usize = 64;

/// Finds the records that concern the name and judges them; the verdict is noted with its time.
pub(crate) async fn check(
    prover: &Prover,
    question: &CaaQuestion,
    deadline: Deadline,
    clock: impl Fn() -> UnixTime,
    seen: &mut Observations,
) -> Result<(), Fault> {
    let (San::Dns(name) | San::Wildcard(name)) = &question.identifier else {
        return Ok(());
    };
    let found = relevant_set(prover, name.as_str(), deadline, seen).await;
    let at = clock();
    let outcome = match found {
        Err(fault) => Err(fault),
        Ok(None) => Ok("there is no CAA record up to the root".to_owned()),
        Ok(Some((owner, records))) => match judge(&records, question) {
            Ok(()) => Ok(format!("permitted by the CAA records at {owner}")),
            Err(denial) => Err(denial.into_fault(&owner, question)),
        },
    };
    let verdict = match &outcome {
        Ok(verdict) => verdict.clone(),
        Err(fault) => fault.detail.clone(),
    };
    let name = question.identifier.to_string();
    seen.add(Observation::Caa { name, verdict, at });
    outcome.map(drop)
}

/// RFC 8659 §3: the records of the first name that has any, from the name itself upwards; the root is not asked. Aliases
/// are followed by the resolver, and the climb goes on from the name that was asked, not from where they led.
async fn relevant_set(
    prover: &Prover,
    name: &str,
    deadline: Deadline,
    seen: &mut Observations,
) -> Result<Option<(String, Vec<CaaRecord>)>, Fault> {
    let mut owner = Some(name);
    while let Some(asked) = owner {
        let mut trace = Trace::default();
        let answer = prover.resolver.caa(asked, deadline, &mut trace).await;
        seen.add_trace(trace);
        match answer {
            Ok(records) => return Ok(Some((asked.to_owned(), records))),
            Err(DialError::NoSuchName { .. } | DialError::NoRecords { .. }) => {}
            // What cannot be known is taken for a refusal, never for a permission.
            Err(error) => {
                let detail = format!(
                    "CAA for {name} is not known: {error}; issuance needs an answer, so try again later"
                );
                return Err(Fault::new(FailureKind::CaaLookup, detail));
            }
        }
        owner = asked.split_once('.').map(|(_, parent)| parent);
    }
    Ok(None)
}

/// Why a record set does not permit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Denial {
    /// A critical property that is not understood here.
    UnknownCritical { tag: String },
    /// No property permits; what the nearest ones say.
    NotPermitted {
        /// The tag that decides, `issue` or `issuewild`.
        tag: &'static str,
        /// Who is permitted, bounded.
        permitted: Vec<String>,
        /// Why a property that names this authority does not suffice.
        nearly: Option<&'static str>,
    },
}

/// RFC 8659 §4: whether the records permit this authority.
fn judge(records: &[CaaRecord], question: &CaaQuestion) -> Result<(), Denial> {
    let unknown = |record: &&CaaRecord| record.critical && !is_understood(&record.tag);
    if let Some(record) = records.iter().find(unknown) {
        let tag = told(&record.tag);
        return Err(Denial::UnknownCritical { tag });
    }
    let (tag, deciding) = deciding(records, &question.identifier);
    if deciding.is_empty() {
        return Ok(());
    }
    let (mut permitted, mut nearly) = (Vec::new(), None);
    for record in deciding {
        // RFC 8659 §4.2: what is malformed counts as a property without an issuer.
        let Some(value) = IssueValue::parse(&record.value) else {
            nearly = nearly.or(Some("a record is malformed and so permits nobody"));
            continue;
        };
        if permitted.len() < ISSUERS_TOLD_MAX && !value.issuer.is_empty() {
            permitted.push(told(value.issuer));
        }
        if !is_ours(value.issuer, question) {
            continue;
        }
        match parameters_fit(&value, question) {
            Ok(()) => return Ok(()),
            Err(why) => nearly = Some(why),
        }
    }
    Err(Denial::NotPermitted {
        tag,
        permitted,
        nearly,
    })
}

/// `issuewild` decides on wildcards where there is any of it, else `issue` does; `issuewild` never decides on anything else
/// (RFC 8659 §4.3).
fn deciding<'a>(records: &'a [CaaRecord], identifier: &San) -> (&'static str, Vec<&'a CaaRecord>) {
    let of = |tag: &str| {
        let fits = |record: &&CaaRecord| record.tag.eq_ignore_ascii_case(tag);
        records.iter().filter(fits).collect::<Vec<_>>()
    };
    let wild = of("issuewild");
    if identifier.is_wildcard() && !wild.is_empty() {
        return ("issuewild", wild);
    }
    ("issue", of("issue"))
}

/// Tags whose meaning is known; of these, `iodef` and `issuemail` (RFC 9495) say nothing about host names.
fn is_understood(tag: &str) -> bool {
    ["issue", "issuewild", "iodef", "issuemail"]
        .iter()
        .any(|known| tag.eq_ignore_ascii_case(known))
}

fn is_ours(issuer: &str, question: &CaaQuestion) -> bool {
    let ours = &question.terms.identities;
    ours.iter()
        .any(|identity| identity.eq_ignore_ascii_case(issuer))
}

/// RFC 8657 §3 and §4: at most one of each, and what it says must be exactly so. Others mean nothing.
fn parameters_fit(value: &IssueValue<'_>, question: &CaaQuestion) -> Result<(), &'static str> {
    match value.only("accounturi") {
        Err(value::Repeated) => return Err("it has accounturi twice, which permits no account"),
        Ok(Some(account)) if account != question.terms.account_url => {
            return Err("its accounturi is that of another account");
        }
        Ok(_) => {}
    }
    match value.only("validationmethods") {
        Err(value::Repeated) => Err("it has validationmethods twice, which permits no method"),
        Ok(Some(methods))
            if !methods
                .split(',')
                .any(|name| name == question.method.name()) =>
        {
            Err("its validationmethods do not contain the method that was used")
        }
        Ok(_) => Ok(()),
    }
}

impl Denial {
    fn into_fault(self, owner: &str, question: &CaaQuestion) -> Fault {
        let name = &question.identifier;
        let detail = match self {
            Self::UnknownCritical { tag } => format!(
                "CAA for {name}: the record set at {owner} has a critical property {tag:?}, which is not known here, so \
                 nothing may be issued"
            ),
            Self::NotPermitted {
                tag,
                permitted,
                nearly,
            } => {
                let ours = question.terms.identities.first().map_or("", String::as_str);
                let others = if permitted.is_empty() {
                    "permits nobody".to_owned()
                } else {
                    format!("permits {}", permitted.join(", "))
                };
                match nearly {
                    Some(why) => format!(
                        "CAA for {name}: the record set at {owner} {others}, but {why}; this is account {}, proven by {}",
                        question.terms.account_url,
                        question.method.name()
                    ),
                    None => format!(
                        "CAA for {name}: the record set at {owner} {others}, not {ours}; to permit it, add the record \
                         `0 {tag} \"{ours}\"` at {owner}"
                    ),
                }
            }
        };
        Fault::new(FailureKind::Caa, detail)
    }
}

/// A text of a record as a sentence may hold it.
fn told(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(TOLD_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
