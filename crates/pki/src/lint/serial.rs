use crate::lint::{Finding, Subject};
use crate::serial::SERIAL_LEN;

/// A positive serial number of exactly 20 octets: ours are 31 bits of time and 128 random bits, so a shorter one was
/// made by something else (RFC 5280 §4.1.2.2 allows at most 20).
pub(super) fn twenty_octets(subject: &Subject<'_>) -> Finding {
    let serial = subject.view.serial;
    match serial.first() {
        Some(0x01..=0x7f) if serial.len() == SERIAL_LEN => Ok(()),
        _ => Err(format!(
            "the serial number has {} octets or is not positive; 20 octets, positive, are expected",
            serial.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::alter::{ca_case, leaf_case};

    #[test]
    fn short_long_zero_and_negative_serials_are_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        let mut negative = vec![0x80; 20];
        negative[1] = 1;
        for content in [vec![0], vec![1], vec![0x7f; 19], vec![0x7f; 21], negative] {
            let serial = [
                &[2, u8::try_from(content.len()).expect("short")],
                &content[..],
            ]
            .concat();
            leaf.breaks("serial_twenty_octets", |parts| {
                parts.serial.clone_from(&serial)
            });
            ca.root_breaks("serial_twenty_octets", |parts| parts.serial = serial);
        }
    }
}
