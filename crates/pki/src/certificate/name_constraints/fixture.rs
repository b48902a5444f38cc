use crate::der::{Writer, tag};

/// The base of one subtree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Base<'a> {
    Host(&'a str),
    /// An address and its mask.
    Address(&'a [u8]),
    /// Another choice of GeneralName, by its number.
    Other(u8, &'a [u8]),
}

/// The value of the extension; an empty list is left out.
pub(crate) fn value(permitted: &[Base<'_>], excluded: &[Base<'_>]) -> Vec<u8> {
    let mut w = Writer::new();
    w.sequence(|w| {
        for (number, bases) in [(0, permitted), (1, excluded)] {
            if !bases.is_empty() {
                w.tlv(tag::context_constructed(number), |w| {
                    bases.iter().for_each(|base| write(w, *base));
                });
            }
        }
    });
    w.finish()
}

fn write(w: &mut Writer, base: Base<'_>) {
    let (number, content) = match base {
        Base::Host(name) => (2, name.as_bytes()),
        Base::Address(octets) => (7, octets),
        Base::Other(number, content) => (number, content),
    };
    w.sequence(|w| w.primitive(tag::context(number), content));
}
