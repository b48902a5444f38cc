use super::mutator::mutate_octets;
use super::rng::Rng;

/// Deeper nesting is kept as octets.
const DEPTH_MAX: usize = 16;
const NODES_MAX: usize = 4000;
/// Copies made of one element, to find what is quadratic.
const COPIES: usize = 100;

const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// Tags that X.509 uses: universal types, then context-specific ones.
const TAGS: [u8; 20] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80,
    0x82, 0x87, 0xa0, 0xa3,
];
/// Contents at the edges of what integers, booleans and strings allow.
const CONTENTS: [&[u8]; 9] = [
    b"",
    b"\x00",
    b"\xff",
    b"\x00\x80",
    b"\x00\x7f",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\x00\x00\x00\x00\x00\x00\x00",
    &[0x01; 21],
    b"a\x00.test",
];

/// DER as a tree: elements can be moved and changed while all lengths around them stay right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    tag: u8,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Octets(Vec<u8>),
    /// Also what an OCTET STRING holds, as extensions do, and a BIT STRING after its first octet.
    Nodes(Vec<Node>),
}

/// Reads a run of elements; nothing when the octets are not one.
pub(super) fn parse(der: &[u8]) -> Option<Vec<Node>> {
    parse_below(der, DEPTH_MAX, &mut NODES_MAX.clone())
}

fn parse_below(der: &[u8], depth: usize, left: &mut usize) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut rest = der;
    while let [tag, after_tag @ ..] = rest {
        *left = left.checked_sub(1)?;
        let (len, after_len) = parse_length(after_tag)?;
        let (content, after) = after_len.split_at_checked(len)?;
        nodes.push(Node {
            tag: *tag,
            content: parse_content(*tag, content, depth, left),
        });
        rest = after;
    }
    Some(nodes)
}

fn parse_content(tag: u8, content: &[u8], depth: usize, left: &mut usize) -> Content {
    let inner = match (tag, content) {
        (BIT_STRING, [0, inner @ ..]) => Some(inner),
        (OCTET_STRING, inner) => Some(inner),
        _ if tag & 0x20 != 0 => Some(content),
        _ => None,
    };
    let nodes = inner.filter(|inner| depth > 0 && (tag & 0x20 != 0 || !inner.is_empty()));
    let nodes = nodes.and_then(|inner| parse_below(inner, depth - 1, left));
    nodes.map_or_else(|| Content::Octets(content.to_vec()), Content::Nodes)
}

fn parse_length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let count = usize::from(first & 0x7f);
    let (octets, rest) = rest
        .split_at_checked(count)
        .filter(|_| (1..=4).contains(&count))?;
    Some((
        octets
            .iter()
            .fold(0, |len, octet| (len << 8) | usize::from(*octet)),
        rest,
    ))
}

/// The first element inside the outermost one, whole: the signed part of a certificate, a list or a request.
pub(super) fn first_inside(der: &[u8]) -> Option<&[u8]> {
    let (len, content) = parse_length(der.get(1..)?)?;
    let content = content.get(..len)?;
    let (len, rest) = parse_length(content.get(1..)?)?;
    content.get(..content.len() - rest.len() + len)
}

/// Writes elements with the shortest lengths.
pub(super) fn encode(nodes: &[Node]) -> Vec<u8> {
    let mut out = Vec::new();
    for node in nodes {
        let content = match &node.content {
            Content::Octets(octets) => octets.clone(),
            Content::Nodes(nodes) if node.tag == BIT_STRING => [&[0][..], &encode(nodes)].concat(),
            Content::Nodes(nodes) => encode(nodes),
        };
        out.push(node.tag);
        let len = content.len().to_be_bytes();
        let short: Vec<u8> = len.into_iter().skip_while(|octet| *octet == 0).collect();
        match short.as_slice() {
            [] => out.push(0),
            [one] if *one < 0x80 => out.push(*one),
            _ => {
                out.push(0x80 | short.len() as u8);
                out.extend(short);
            }
        }
        out.extend(content);
    }
    out
}

/// Changes one element somewhere in the tree; `donor` gives elements of another sample.
pub(super) fn mutate(rng: &mut Rng, nodes: &mut Vec<Node>, donor: &[Node]) {
    let target = rng.below(count(nodes));
    let gift = nth(donor, &mut rng.below(count(donor))).cloned();
    change_nth(nodes, &mut { target }, &mut |siblings, index| {
        change(rng, siblings, index, gift.as_ref());
    });
}

fn count(nodes: &[Node]) -> usize {
    let below = |node: &Node| match &node.content {
        Content::Octets(_) => 1,
        Content::Nodes(nodes) => 1 + count(nodes),
    };
    nodes.iter().map(below).sum()
}

fn nth<'a>(nodes: &'a [Node], left: &mut usize) -> Option<&'a Node> {
    for node in nodes {
        if *left == 0 {
            return Some(node);
        }
        *left -= 1;
        if let Content::Nodes(below) = &node.content
            && let Some(found) = nth(below, left)
        {
            return Some(found);
        }
    }
    None
}

/// Gives the `left`-th element, with its siblings, to `change`; false when there are not so many.
fn change_nth(
    nodes: &mut Vec<Node>,
    left: &mut usize,
    change: &mut dyn FnMut(&mut Vec<Node>, usize),
) -> bool {
    for index in 0..nodes.len() {
        if *left == 0 {
            change(nodes, index);
            return true;
        }
        *left -= 1;
        if let Content::Nodes(below) = &mut nodes[index].content
            && change_nth(below, left, change)
        {
            return true;
        }
    }
    false
}

fn change(rng: &mut Rng, siblings: &mut Vec<Node>, index: usize, gift: Option<&Node>) {
    match rng.below(16) {
        0 | 1 => {
            siblings.remove(index);
        }
        2 => siblings.insert(index, siblings[index].clone()),
        3 => {
            let other = rng.below(siblings.len());
            siblings.swap(index, other);
        }
        4 | 5 => siblings[index].tag = rng.pick(&TAGS).copied().unwrap_or(SEQUENCE),
        6 => {
            let inner = siblings[index].clone();
            siblings[index] = Node {
                tag: SEQUENCE,
                content: Content::Nodes(vec![inner]),
            };
        }
        7 | 8 => {
            if let Some(gift) = gift {
                siblings[index] = gift.clone();
            }
        }
        9 => {
            if let Some(gift) = gift {
                siblings.insert(index, gift.clone());
            }
        }
        10 => {
            let content = rng
                .pick(&CONTENTS)
                .map(|content| content.to_vec())
                .unwrap_or_default();
            siblings[index].content = Content::Octets(content);
        }
        11 if rng.once_in(8) => {
            let copies = vec![siblings[index].clone(); COPIES];
            siblings.splice(index..index, copies);
        }
        _ => change_octets(rng, &mut siblings[index]),
    }
}

/// Changes what the element holds, as octets, and leaves its length to be written right.
fn change_octets(rng: &mut Rng, node: &mut Node) {
    let mut octets = match &node.content {
        Content::Octets(octets) => octets.clone(),
        Content::Nodes(nodes) => encode(nodes),
    };
    mutate_octets(rng, &mut octets, &[], &[]);
    node.content = Content::Octets(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = &[
        0x30, 0x0f, 0x02, 0x01, 0x05, 0x04, 0x04, 0x30, 0x02, 0x05, 0x00, 0x03, 0x04, 0x00, 0x01,
        0x01, 0xff,
    ];

    #[test]
    fn a_tree_is_written_as_it_was_read() {
        let nodes = parse(SAMPLE).expect("a tree");
        assert_eq!(count(&nodes), 7, "what strings hold is seen as well");
        assert_eq!(encode(&nodes), SAMPLE);
        let long = [&[0x04, 0x82, 0x01, 0x00][..], &[0xaa; 256]].concat();
        assert_eq!(encode(&parse(&long).expect("a tree")), long);
    }

    #[test]
    fn the_first_element_inside_is_found_whole() {
        assert_eq!(first_inside(SAMPLE), Some(&[0x02, 0x01, 0x05][..]));
        assert_eq!(first_inside(&SAMPLE[..4]), None);
        assert_eq!(first_inside(&[0x30, 0x02, 0x02, 0x05]), None);
    }

    #[test]
    fn every_change_still_is_a_tree() {
        let donor = parse(SAMPLE).expect("a tree");
        let mut rng = Rng::new(1);
        let mut different = 0;
        for _ in 0..2000 {
            let mut nodes = donor.clone();
            mutate(&mut rng, &mut nodes, &donor);
            let der = encode(&nodes);
            assert!(parse(&der).is_some(), "{der:02x?}");
            different += usize::from(der != SAMPLE);
        }
        assert!(different > 1500, "{different}");
    }
}
