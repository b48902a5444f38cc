use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A program that prints without end must not take the test's memory.
const LINES_MAX: usize = 200_000;
const LINE_OCTETS_MAX: u64 = 64 * 1024;
/// How much of the output an error shows.
const SHOWN_LINES: usize = 30;

/// Which of its outputs a program printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line that a program printed, without its end; bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was printed.
    pub stream: Stream,
    /// What was printed.
    pub text: String,
}

/// What a program printed, and whether more can come.
#[derive(Debug, Default)]
pub(super) struct Output {
    state: Mutex<OutputState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct OutputState {
    pub(super) lines: Vec<Line>,
    pub(super) open_streams: usize,
}

impl Output {
    pub(super) fn lines(&self) -> Vec<Line> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines
            .clone()
    }

    /// Collects lines in a thread of its own, which ends when the last writer has closed the stream.
    pub(super) fn follow(
        self: &Arc<Self>,
        stream: Stream,
        from: Option<impl Read + Send + 'static>,
    ) {
        let Some(from) = from else { return };
        let output = Arc::clone(self);
        output.change(|state| state.open_streams += 1);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(from);
            while let Some(text) = next_line(&mut reader) {
                output.change(|state| {
                    if state.lines.len() < LINES_MAX {
                        state.lines.push(Line { stream, text });
                    }
                });
            }
            output.change(|state| state.open_streams -= 1);
        });
    }

    fn change(&self, change: impl FnOnce(&mut OutputState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// The lines once `done` holds, nothing when the deadline comes first.
    pub(super) fn wait_until(
        &self,
        deadline: Instant,
        done: impl Fn(&OutputState) -> bool,
    ) -> Option<Vec<Line>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let within = deadline.saturating_duration_since(Instant::now());
        let (state, result) = self
            .changed
            .wait_timeout_while(state, within, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        (!result.timed_out()).then(|| state.lines.clone())
    }
}

fn next_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader
        .take(LINE_OCTETS_MAX)
        .read_until(b'\n', &mut line)
        .ok()?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    (!line.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// The last lines, for an error.
pub(super) fn shown(lines: &[Line]) -> String {
    let from = lines.len().saturating_sub(SHOWN_LINES);
    let last = lines.get(from..).unwrap_or_default();
    last.iter()
        .fold(String::new(), |text, line| text + "  " + &line.text + "\n")
}
