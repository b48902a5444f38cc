use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

use crate::SignerError;
use crate::protocol::{Frame, frame_len, read_frame};

/// Requests of one batch. At this size a sync is a small part of the batch already.
pub(crate) const BATCH_MAX: usize = 256;
/// How long appended signatures wait for a batch whose sync they can share.
const IDLE: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 256 << 10;
/// Bytes of one batch, beyond its last frame: bounds the memory that a caller can make the signer hold.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Why the loop woke up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// At least one whole frame is there.
    Frames,
    /// Nothing came for a while.
    Idle,
    /// The caller has closed the socket.
    Closed,
}

/// The socket and what was read from it.
#[derive(Debug)]
pub(crate) struct Inbox {
    socket: UnixStream,
    bytes: Vec<u8>,
    /// Bytes at the front that belong to frames given out.
    given: usize,
    /// The socket's present read timeout, to spare the system call that sets it anew.
    timeout: Option<Duration>,
}

impl Inbox {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            bytes: Vec::new(),
            given: 0,
            timeout: None,
        }
    }

    /// Blocks until there is a whole frame; when the journal is not durable, only for a moment.
    pub(crate) fn wait(&mut self, is_durable: bool) -> Result<Woken, SignerError> {
        self.set_timeout((!is_durable).then_some(IDLE))?;
        while !self.has_frame()? {
            match self.receive(RecvFlags::empty()) {
                // Half a frame of a caller that died while it wrote is nobody's request.
                Ok(0) => return Ok(Woken::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Woken::Idle),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Woken::Closed);
                }
                Err(error) => return Err(Self::broken(error)),
            }
        }
        Ok(Woken::Frames)
    }

    /// The frames that are there, at most one batch. What the system still holds is fetched first, without waiting.
    pub(crate) fn frames(&mut self) -> Result<Vec<Frame<'_>>, SignerError> {
        // Whoever is about to ask shares the sync of this batch: step aside for those that could run now.
        std::thread::yield_now();
        while self.bytes.len() < BATCH_BYTES_MAX && count_frames(&self.bytes)? < BATCH_MAX {
            match self.receive(RecvFlags::DONTWAIT) {
                // An end is seen again by the next wait.
                Ok(0) => break,
                Ok(_) => std::thread::yield_now(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(Self::broken(error)),
            }
        }
        let mut frames = Vec::new();
        let mut rest = self.bytes.as_slice();
        while frames.len() < BATCH_MAX
            && let Some((frame, behind)) =
                read_frame(rest).map_err(|what| SignerError::Protocol { what })?
        {
            frames.push(frame);
            rest = behind;
        }
        self.given = self.bytes.len() - rest.len();
        Ok(frames)
    }

    /// Sends the answers of a batch. A caller that is gone already is seen by the next wait.
    pub(crate) fn answer(&mut self, answers: &[u8]) -> Result<(), SignerError> {
        match self.socket.write_all(answers) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            written => written.map_err(Self::broken),
        }
    }

    /// Forgets the frames given out last.
    pub(crate) fn done(&mut self) {
        self.bytes.drain(..self.given);
        self.given = 0;
        // After a large CRL the memory is given back; twice, because the next read asks for this much beside what is left.
        self.bytes.shrink_to(2 * READ_BYTES);
    }

    fn has_frame(&self) -> Result<bool, SignerError> {
        let length = frame_len(&self.bytes).map_err(|what| SignerError::Protocol { what })?;
        Ok(length.is_some_and(|length| self.bytes.len() >= length))
    }

    /// Room for the rest of a large frame in one piece, so that a list of 40 MB takes 40 MB.
    fn make_room(&mut self) {
        let whole = frame_len(&self.bytes).ok().flatten().unwrap_or(0);
        let rest = whole.saturating_sub(self.bytes.len());
        if rest > READ_BYTES {
            self.bytes.reserve_exact(rest);
        } else {
            self.bytes.reserve(READ_BYTES);
        }
    }

    fn receive(&mut self, flags: RecvFlags) -> io::Result<usize> {
        self.make_room();
        loop {
            let room = rustix::buffer::spare_capacity(&mut self.bytes);
            match recv(&self.socket, room, flags) {
                Ok((got, _)) => return Ok(got),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<(), SignerError> {
        if self.timeout != timeout {
            self.socket
                .set_read_timeout(timeout)
                .map_err(Self::broken)?;
            self.timeout = timeout;
        }
        Ok(())
    }

    fn broken(source: io::Error) -> SignerError {
        SignerError::Io {
            action: "talk over",
            path: PathBuf::from("the socket to the caller"),
            source,
        }
    }
}

/// How many whole frames `bytes` begins with, counted up to one batch.
fn count_frames(mut bytes: &[u8]) -> Result<usize, SignerError> {
    let mut count = 0;
    while count < BATCH_MAX
        && let Some(length) = frame_len(bytes).map_err(|what| SignerError::Protocol { what })?
        && let Some(rest) = bytes.get(length..)
    {
        count += 1;
        bytes = rest;
    }
    Ok(count)
}
