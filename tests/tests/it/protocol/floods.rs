//! Floods on the public listener (failures B10): whoever sends what no client sends is hung up on or told off, at little
//! cost, and others do not feel it.

mod line;

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chancery_tests::{Authority, Client};
use line::{
    CONTINUATION, DATA, Door, END_HEADERS, END_STREAM, End, HEADERS, PING, RST_STREAM, SETTINGS,
    frame, request,
};

/// Resident memory that a flood may add, at its highest, in both processes together.
const BYTES_MORE_MAX: u64 = 64 << 20;
/// Requests whose times are taken; the slowest hundredth are the two or three that may be slower.
const REQUESTS: usize = 250;
/// Two processors serve the server, the flood and the client here; each may wait for a turn of another.
const ALLOWANCE: Duration = Duration::from_millis(50);
/// A busy machine spoils a measurement now and then, a flood that is felt all of them.
const MEASUREMENTS_MAX: usize = 3;
/// Connections that flood at one time.
const FLOODING: usize = 2;
/// ENHANCE_YOUR_CALM (RFC 9113 §7).
const CALM_DOWN: u32 = 11;

/// The time within which 99 of 100 requests of an honest client are answered.
fn p99(client: &Client, authority: &Authority) -> Duration {
    let mut times: Vec<Duration> = (0..REQUESTS)
        .map(|_| {
            let started = Instant::now();
            let reply = client.http.get(authority.directory());
            assert_eq!(reply.status, 200, "{}", reply.text());
            started.elapsed()
        })
        .collect();
    times.sort();
    times[REQUESTS * 99 / 100]
}

/// What may be waited while others flood.
fn bound(quiet: Duration) -> Duration {
    quiet * 2 + ALLOWANCE
}

/// Measures until it is within bounds, or often enough.
fn measure(client: &Client, authority: &Authority, quiet: Duration) -> Vec<Duration> {
    let mut measured = Vec::new();
    while measured.len() < MEASUREMENTS_MAX && measured.iter().all(|time| *time > bound(quiet)) {
        measured.push(p99(client, authority));
    }
    measured
}

/// Floods over HTTP/2 while an honest client asks; gives how each flood ended.
fn ends(authority: &Authority, flood: impl Fn(&Door) -> End + Sync) -> Vec<End> {
    let client = authority.client();
    let calm = authority.calm();
    let door = Door::of(authority, "h2");
    let quiet = p99(&client, authority);
    let before = authority.usage().rss_bytes_peak;
    let (over, ends) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let measured = std::thread::scope(|scope| {
        for _ in 0..FLOODING {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let end = flood(&door);
                    ends.lock().expect("no panic").push(end);
                }
            });
        }
        let measured = measure(&client, authority, quiet);
        over.store(true, Ordering::Relaxed);
        measured
    });
    assert!(
        measured.iter().any(|time| *time <= bound(quiet)),
        "others waited {measured:?}, where it was {quiet:?}"
    );
    let most = authority.usage().rss_bytes_peak;
    assert!(
        most < before + BYTES_MORE_MAX,
        "from {before} to {most} octets"
    );
    calm.holds(authority);
    assert_eq!(client.register().issue(&["a.test"]).order.status(), "valid");
    let ends = ends.into_inner().expect("no panic");
    assert!(ends.len() >= FLOODING, "{ends:?}");
    ends
}

/// That the server ended every flood, and by its own rule.
fn are_told_to_calm_down(what: &str, ends: &[End]) {
    let (told, other): (Vec<&End>, Vec<&End>) = ends
        .iter()
        .partition(|end| **end == End::Refused(CALM_DOWN));
    assert!(!told.is_empty(), "{what}: {ends:?}");
    // Why it hangs up may be lost on the way, that it does may not.
    assert!(
        other.iter().all(|end| **end == End::Closed),
        "{what}: {other:?}"
    );
}

/// Frames that are written at once.
const TOGETHER: usize = 500;

/// Opens a stream, and then writes the same frames over and over.
fn on_a_stream(door: &Door, opening: &[u8], times: usize, frames: &[u8]) -> End {
    let mut line = door.open_h2();
    if !line.write(opening) {
        return line.end();
    }
    line.flood(times, |_| frames.to_vec())
}

/// What the floods begin with is what honest clients say too.
#[test]
fn a_request_written_by_hand_is_answered() {
    let authority = Authority::start();
    let mut line = Door::of(&authority, "h2").open_h2();
    let head = request(false, "/acme/directory");
    assert!(line.write(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)));
    let body = line.read_until(DATA);
    let directory: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert!(directory["newOrder"].is_string(), "{directory}");
}

#[test]
fn b10_a_header_block_without_end_is_cut_off() {
    let authority = Authority::start();
    let head = request(false, "/acme/directory");
    let opening = frame(HEADERS, END_STREAM, 1, &head);
    let field = b"\0\x01a\x01b".to_vec();
    for (what, part, together) in [
        ("nothing", vec![], TOGETHER),
        ("one field", field, TOGETHER),
        ("16 KiB", vec![0; 16 * 1024], 2),
    ] {
        let frames = frame(CONTINUATION, 0, 1, &part).repeat(together);
        let ends = ends(&authority, |door| {
            on_a_stream(door, &opening, 2_000, &frames)
        });
        are_told_to_calm_down(what, &ends);
    }
}

#[test]
fn b10_streams_that_are_reset_as_soon_as_they_are_opened_are_cut_off() {
    let authority = Authority::start();
    let head = request(false, "/acme/directory");
    let ends = ends(&authority, |door| {
        door.open_h2().flood(1_000, |time| {
            let pair = |n| {
                let stream = u32::try_from((time * TOGETHER + n) * 2 + 1).expect("a stream");
                let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
                [open, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
            };
            (0..TOGETHER).flat_map(pair).collect()
        })
    });
    are_told_to_calm_down("resets", &ends);
}

#[test]
fn b10_a_million_empty_data_frames_are_cut_off() {
    let authority = Authority::start();
    let head = request(true, "/acme/server/new-order");
    let opening = frame(HEADERS, END_HEADERS, 1, &head);
    let frames = frame(DATA, 0, 1, b"").repeat(TOGETHER);
    let ends = ends(&authority, |door| {
        on_a_stream(door, &opening, 1_000_000 / TOGETHER, &frames)
    });
    are_told_to_calm_down("empty DATA", &ends);
}

/// Each asks for an answer. They are taken as long as the client takes the answers, and cost nothing that stays.
#[test]
fn b10_hundreds_of_thousands_of_control_frames_are_borne() {
    let authority = Authority::start();
    for (what, one) in [
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, b"")),
    ] {
        let frames = one.repeat(TOGETHER);
        let ends = ends(&authority, |door| {
            door.open_h2().flood(400, |_| frames.clone())
        });
        let odd = |end: &End| !matches!(end, End::Taken | End::Refused(CALM_DOWN));
        assert!(!ends.iter().any(odd), "{what}: {ends:?}");
    }
}

/// Requests whose length is said twice, with another request in what would be left over (RFC 9112 §6.1, §11.2).
#[test]
fn b10_two_lengths_end_the_connection_and_smuggle_nothing() {
    let authority = Authority::start();
    let calm = authority.calm();
    let door = Door::of(&authority, "http/1.1");
    let smuggled = "GET /acme/directory HTTP/1.1\r\nHost: a\r\n\r\n";
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nTransfer-Encoding: identity, chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked, identity",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked",
        "Content-Length: 5\r\nTransfer-Encoding : chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
    ] {
        let mut line = door.open();
        let head = format!(
            "POST /acme/server/new-order HTTP/1.1\r\nHost: a\r\n\
             Content-Type: application/jose+json\r\n{lengths}\r\n\r\n"
        );
        line.write(format!("{head}0\r\n\r\n{smuggled}").as_bytes());
        let said = line.read_to_end();
        let said = said.unwrap_or_else(|| panic!("{lengths:?} is held"));
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with("HTTP/1.1 400 "), "{lengths:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{lengths:?}: {said}");
    }
    calm.holds(&authority);
}

/// Connections that can be held: four fifths of the files that a process may have open, and no more than are of use.
fn bearable() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = files.and_then(|line| line.split_ascii_whitespace().nth(3));
    let files: usize = soft
        .and_then(|word| word.parse().ok())
        .unwrap_or(usize::MAX);
    (files / 5 * 4).min(5_000)
}

/// A connection of one of four kinds: nothing is said on it, half a greeting, all of one, half a request.
fn silent(door: &Door, kind: usize) -> Box<dyn std::any::Any> {
    match kind {
        0 => Box::new(door.socket()),
        1 => {
            let mut socket = door.socket();
            let hello = b"\x16\x03\x01\x02\0\x01\0\x01";
            socket.write_all(hello).expect("it is taken");
            Box::new(socket)
        }
        2 => Box::new(door.open()),
        _ => {
            let mut line = door.open();
            assert!(line.write(b"GET /acme/directory HTTP/1.1\r\nHost: a\r\nX-Slow: "));
            Box::new(line)
        }
    }
}

/// That such connections are ended is tried beside the listener, whose patience is shorter there.
#[test]
fn b10_thousands_of_silent_connections_are_borne() {
    const BYTES_EACH_MAX: u64 = 32 << 10;
    let authority = Authority::start();
    let client = authority.client();
    let calm = authority.calm();
    let quiet = p99(&client, &authority);
    let before = authority.usage().rss_bytes_peak;
    let door = Door::of(&authority, "http/1.1");
    let count = bearable();
    assert!(count >= 1_000, "this process may have {count} connections");
    let held: Vec<_> = (0..count).map(|n| silent(&door, n % 4)).collect();
    assert!(authority.usage().open_files > count, "all of them are held");
    let measured = measure(&client, &authority, quiet);
    assert!(
        measured.iter().any(|time| *time <= bound(quiet)),
        "others waited {measured:?}, where it was {quiet:?}"
    );
    let most = authority.usage().rss_bytes_peak;
    let more = u64::try_from(count).expect("few") * BYTES_EACH_MAX;
    assert!(most < before + more, "from {before} to {most} octets");
    drop(held);
    calm.holds(&authority);
    assert_eq!(client.register().issue(&["a.test"]).order.status(), "valid");
}
