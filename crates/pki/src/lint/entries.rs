use crate::crl::RevocationReason;
use crate::crl::entry::Entries;
use crate::der::DerError;
use crate::lint::Finding;
use crate::lint::crl::CrlSubject;
use crate::serial::Serial;

/// What one walk over the entries found.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) count: usize,
    bad_serial: bool,
    disorder: Option<(Serial, Serial)>,
    bad_reason: Option<u64>,
    has_other_extensions: bool,
}

impl Survey {
    pub(super) fn walk(revoked: &[u8]) -> Result<Self, DerError> {
        let mut survey = Self::default();
        let mut previous: Option<Serial> = None;
        for entry in Entries::over(revoked) {
            let entry = entry?;
            survey.count = survey.count.saturating_add(1);
            survey.has_other_extensions |= entry.has_other_extensions;
            if let Some(code) = entry.reason
                && !is_spoken(code)
            {
                survey.bad_reason = Some(code);
            }
            let Ok(serial) = Serial::from_bytes(entry.serial) else {
                survey.bad_serial = true;
                continue;
            };
            if let Some(previous) = previous
                && previous >= serial
            {
                survey.disorder = Some((previous, serial));
            }
            previous = Some(serial);
        }
        Ok(survey)
    }
}

/// Whether a list says this reason; unspecified is said by leaving it out.
fn is_spoken(code: u64) -> bool {
    let reason = RevocationReason::from_u64(code);
    reason.is_some_and(|reason| reason != RevocationReason::Unspecified)
}

/// Every entry names a serial number that a certificate can have.
pub(super) fn serial(subject: &CrlSubject<'_>) -> Finding {
    if subject.entries.bad_serial {
        return Err(
            "an entry's serial number is not positive or has more than 20 octets".to_owned(),
        );
    }
    Ok(())
}

/// The entries ascend, so that none is there twice.
pub(super) fn order(subject: &CrlSubject<'_>) -> Finding {
    match subject.entries.disorder {
        None => Ok(()),
        Some((earlier, later)) => Err(format!("serial {later} comes after {earlier}")),
    }
}

/// Reasons are of the closed set; unspecified is said by leaving the reason out (RFC 5280 §5.3.1).
pub(super) fn reason(subject: &CrlSubject<'_>) -> Finding {
    match subject.entries.bad_reason {
        None => Ok(()),
        Some(code) => Err(format!(
            "an entry has reason {code}; 1, 3, 4, 5 and 9 are expected"
        )),
    }
}

/// Entries have a reason at most.
pub(super) fn extensions(subject: &CrlSubject<'_>) -> Finding {
    if subject.entries.has_other_extensions {
        return Err("an entry has another extension than reasonCode".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::certificate::extension::{write, write_critical};
    use crate::der::{Writer, tag};
    use crate::lint::alter::{crl_case, der};
    use crate::oid;
    use crate::tbs::fixture::{NOW, serial};

    /// An entry behind those of [`crl_case`], with what `extensions` writes.
    fn entry(serial: &[u8], extensions: impl FnOnce(&mut Writer)) -> Vec<u8> {
        der(|w| {
            w.sequence(|w| {
                w.primitive(tag::INTEGER, serial);
                w.time(NOW);
                w.sequence(extensions);
            });
        })
    }

    fn write_reason(w: &mut Writer, code: &[u8]) {
        write(w, oid::REASON_CODE, |w| w.primitive(tag::ENUMERATED, code));
    }

    #[test]
    fn entries_with_impossible_serials_out_of_order_or_twice_are_found() {
        let case = crl_case();
        let reasoned = |serial: &[u8]| entry(serial, |w| write_reason(w, &[1]));
        for serial in [&[0][..], &[0x80, 0], &[0x7f; 21]] {
            case.with_entry("crl_entry_serial", reasoned(serial));
        }
        for late in [serial(1), serial(2), serial(0)] {
            case.with_entry("crl_entry_order", reasoned(late.as_bytes()));
        }
    }

    #[test]
    fn d3_reasons_outside_the_closed_set_and_unspecified_are_found() {
        let case = crl_case();
        let last = serial(3);
        for code in [&[0][..], &[2], &[6], &[7], &[8], &[10], &[1, 0]] {
            let entry = entry(last.as_bytes(), |w| write_reason(w, code));
            case.with_entry("crl_entry_reason", entry);
        }
        for code in [&[0xff][..], &[], &[0, 1]] {
            case.with_entry(
                "crl_form",
                entry(last.as_bytes(), |w| write_reason(w, code)),
            );
        }
    }

    #[test]
    fn entries_that_say_more_than_a_reason_are_found() {
        let case = crl_case();
        let last = serial(3);
        let invalidity_date: &[u8] = &[0x55, 0x1d, 0x18];
        let dated = entry(last.as_bytes(), |w| {
            write(w, invalidity_date, |w| {
                w.primitive(tag::GENERALIZED_TIME, b"20260101000000Z")
            });
        });
        case.with_entry("crl_entry_extensions", dated);
        let critical = entry(last.as_bytes(), |w| {
            write_critical(w, oid::REASON_CODE, |w| w.primitive(tag::ENUMERATED, &[1]));
        });
        case.with_entry("crl_form", critical);
        let twice = entry(last.as_bytes(), |w| {
            [1, 1].map(|_| write_reason(w, &[1])).into_iter().collect()
        });
        case.with_entry("crl_form", twice);
        case.with_entry("crl_form", entry(last.as_bytes(), |_| ()));
    }
}
