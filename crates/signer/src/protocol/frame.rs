use minicbor::Encode;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Hello,
    FirstRun,
    SignLeaf,
    SignCrl,
    Replay,
    Answer,
}

const KINDS: [(u8, FrameKind); 6] = [
    (1, FrameKind::Hello),
    (2, FrameKind::FirstRun),
    (3, FrameKind::SignLeaf),
    (4, FrameKind::SignCrl),
    (5, FrameKind::Replay),
    (16, FrameKind::Answer),
];

/// The length itself, the kind and the id.
const HEADER_LEN: usize = 13;
/// The kind and the id, which the length counts.
const COUNTED_HEADER_LEN: usize = 9;
/// A leaf of 100 long names is some 30 KiB.
const LEAF_BYTES_MAX: usize = 64 << 10;
/// A CRL may have 64 MiB, and its new revocations come with it.
const CRL_BYTES_MAX: usize = 72 << 20;
/// Requests that hold a few numbers.
const SMALL_BYTES_MAX: usize = 64;

impl FrameKind {
    fn number(self) -> u8 {
        KINDS
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or(0, |(number, _)| *number)
    }

    /// The most that the length of a frame of this kind may say.
    fn bytes_max(self) -> usize {
        match self {
            Self::Hello | Self::Replay => SMALL_BYTES_MAX,
            Self::FirstRun | Self::SignLeaf => LEAF_BYTES_MAX,
            // An answer may carry one journal entry of any length.
            Self::SignCrl | Self::Answer => CRL_BYTES_MAX,
        }
    }
}

/// One frame, borrowed from the buffer that it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) id: u64,
    pub(crate) body: &'a [u8],
}

/// How many bytes the frame at the start of `bytes` has; `None` if too few are there to say.
///
/// # Errors
/// What is wrong with it: an unknown kind or a length outside its kind's limits.
pub(crate) fn frame_len(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let [a, b, c, d, number, ..] = *header;
    let Some((_, kind)) = KINDS.iter().find(|(of, _)| *of == number) else {
        return Err("a frame of an unknown kind");
    };
    match usize::try_from(u32::from_le_bytes([a, b, c, d])) {
        Ok(length) if (COUNTED_HEADER_LEN..=kind.bytes_max()).contains(&length) => {
            Ok(Some(length + HEADER_LEN - COUNTED_HEADER_LEN))
        }
        _ => Err("a frame longer than its kind allows"),
    }
}

/// Takes the frame at the start of `bytes`, with what lies behind it; `None` if it is not all there.
///
/// # Errors
/// Those of [`frame_len`].
pub(crate) fn read_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, &'static str> {
    let Some((frame, rest)) = frame_len(bytes)?.and_then(|length| bytes.split_at_checked(length))
    else {
        return Ok(None);
    };
    let fields = frame
        .split_first_chunk::<HEADER_LEN>()
        .and_then(|(header, body)| {
            let [_, _, _, _, number, id @ ..] = *header;
            let (_, kind) = KINDS.iter().find(|(of, _)| *of == number)?;
            Some(Frame {
                kind: *kind,
                id: u64::from_le_bytes(id),
                body,
            })
        });
    Ok(fields.map(|frame| (frame, rest)))
}

/// Writes a frame behind what `out` holds. Its length is the reader's to judge.
pub(crate) fn write_frame<T: Encode<()>>(out: &mut Vec<u8>, kind: FrameKind, id: u64, body: &T) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind.number());
    out.extend_from_slice(&id.to_le_bytes());
    minicbor::encode(body, &mut *out)
        .expect("a vector takes any bytes and no body fails to encode");
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out.iter_mut()
        .skip(start)
        .zip(length.to_le_bytes())
        .for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_refused_by_its_first_bytes_when_it_is_longer_than_its_kind_may_be() {
        let header = |kind: u8, length: u32| [&length.to_le_bytes()[..], &[kind], &[0; 8]].concat();
        assert_eq!(frame_len(&header(3, 64 << 10)), Ok(Some((64 << 10) + 4)));
        assert!(frame_len(&header(3, (64 << 10) + 1)).is_err());
        assert_eq!(frame_len(&header(4, 72 << 20)), Ok(Some((72 << 20) + 4)));
        assert!(frame_len(&header(4, (72 << 20) + 1)).is_err());
        assert!(frame_len(&header(1, 65)).is_err());
        assert!(frame_len(&header(1, 8)).is_err());
        assert!(frame_len(&header(9, 20)).is_err());
        assert_eq!(frame_len(&header(3, 100)[..12]), Ok(None));
    }

    proptest! {
        #[test]
        fn frames_come_back_from_any_stream_of_them_and_garbage_is_an_answer_too(
            ids in prop::collection::vec(any::<u64>(), 0..5), garbage in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut stream = Vec::new();
            for id in &ids {
                write_frame(&mut stream, FrameKind::SignLeaf, *id, &vec![7_u8; 30]);
            }
            let mut rest = stream.as_slice();
            for id in &ids {
                let (frame, behind) = read_frame(rest).expect("framed").expect("whole");
                prop_assert_eq!((frame.kind, frame.id), (FrameKind::SignLeaf, *id));
                rest = behind;
            }
            prop_assert_eq!(read_frame(rest), Ok(None));
            let _ = read_frame(&garbage);
        }
    }
}
