use super::rng::Rng;
use super::{Form, der_tree};

/// Longer inputs take time and find nothing that shorter ones do not; the largest limit under test is reached.
const INPUT_OCTETS_MAX: usize = 80 * 1024;
/// Changes made to one input.
const CHANGES_MAX: usize = 5;
/// Octets that a single change adds or takes.
const STRETCH_MAX: usize = 64;

/// Octets at the edges: of ASCII, of DER lengths, of DNS compression.
const EDGES: [u8; 12] = [
    0x00, 0x01, 0x2e, 0x30, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xc0, 0xfe, 0xff,
];

/// A changed copy of `parent`. `donor` is another input of the corpus.
pub(super) fn mutated(
    rng: &mut Rng,
    form: Form,
    tokens: &[&[u8]],
    parent: &[u8],
    donor: &[u8],
) -> Vec<u8> {
    let mut input = parent.to_vec();
    if form == Form::Der
        && !rng.once_in(3)
        && let (Some(mut nodes), Some(donor)) = (der_tree::parse(parent), der_tree::parse(donor))
    {
        for _ in 0..=rng.below(CHANGES_MAX) {
            der_tree::mutate(rng, &mut nodes, &donor);
        }
        input = der_tree::encode(&nodes);
        if !rng.once_in(8) {
            input.truncate(INPUT_OCTETS_MAX);
            return input;
        }
    }
    for _ in 0..=rng.below(CHANGES_MAX) {
        mutate_octets(rng, &mut input, tokens, donor);
    }
    input.truncate(INPUT_OCTETS_MAX);
    input
}

/// One change that knows nothing of the format.
pub(super) fn mutate_octets(rng: &mut Rng, input: &mut Vec<u8>, tokens: &[&[u8]], donor: &[u8]) {
    let at = rng.below(input.len());
    match rng.below(14) {
        0 | 1 => change_octet(input, at, |octet| octet ^ (1 << rng.below(8))),
        2 => change_octet(input, at, |_| rng.octet()),
        3 => change_octet(input, at, |_| rng.pick(&EDGES).copied().unwrap_or_default()),
        4 => change_octet(input, at, |octet| octet.wrapping_add(1)),
        5 => change_octet(input, at, |octet| octet.wrapping_sub(1)),
        6 => {
            let added: Vec<u8> = (0..=rng.below(8)).map(|_| rng.octet()).collect();
            input.splice(at..at, added);
        }
        7 | 8 => {
            let token = rng.pick(tokens).copied().unwrap_or_default();
            input.splice(at..at, token.iter().copied());
        }
        9 => {
            let gone = rng.stretch(input.len(), STRETCH_MAX);
            input.drain(gone);
        }
        10 => {
            let stretch = rng.stretch(input.len(), STRETCH_MAX);
            let times = if rng.once_in(16) { 200 } else { 1 };
            let copied = input[stretch].repeat(times);
            input.splice(at..at, copied);
        }
        11 => {
            let stretch = rng.stretch(donor.len(), donor.len());
            input.splice(at..at, donor[stretch].iter().copied());
        }
        12 => {
            let rest = rng.below(donor.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&donor[rest..]);
        }
        _ => change_length(rng, input),
    }
}

fn change_octet(input: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(octet) = input.get_mut(at) {
        *octet = change(*octet);
    }
}

/// Looks for what may be the length of a DER element and makes it lie.
fn change_length(rng: &mut Rng, input: &mut Vec<u8>) {
    let candidates: Vec<usize> = (1..input.len().min(4096))
        .filter(|at| matches!(input[at - 1], 0x01..=0x18 | 0x30 | 0x31 | 0x80..=0xbf))
        .collect();
    let Some(at) = rng.pick(&candidates).copied() else {
        return;
    };
    let huge: &[u8] = &[0x84, 0xff, 0xff, 0xff, 0xff];
    let lies: [&[u8]; 6] = [
        &[0x80],
        &[0x00],
        &[0x81, 0x7f],
        &[0x82, 0x00, 0x05],
        &[0x82, 0xff, 0xff],
        huge,
    ];
    let lie = rng.pick(&lies).copied().unwrap_or_default();
    input.splice(at..=at, lie.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_mutations() {
        let make = |seed| {
            let mut rng = Rng::new(seed);
            let one = |_| mutated(&mut rng, Form::Bytes, &[b"token"], b"a sample", b"a donor");
            (0..100).map(one).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert!(
            make(1)
                .iter()
                .any(|input| input.windows(5).any(|five| five == b"token"))
        );
    }

    #[test]
    fn nothing_is_too_small_to_be_mutated() {
        let mut rng = Rng::new(3);
        for form in [Form::Bytes, Form::Der] {
            for _ in 0..1000 {
                mutated(&mut rng, form, &[], b"", b"");
            }
        }
    }
}
