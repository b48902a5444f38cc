//! The caller's side: many calls at once over one socket.
//!
//! [`connect`] gives a [`SignerClient`], cheap to clone, and a [`Connection`], a future that carries the frames. The caller runs
//! the connection as a task of its own and so learns when the signer has gone. Calls have no deadline of their own: the caller
//! drops a call to give it up. What was sent is then still carried out, and the journal has it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::protocol::{
    Answer, FirstRun, FrameKind, Greeting, IssuerInfo, Refusal, Replay, Replayed, Request, SignCrl,
    SignLeaf, Signed, frame_len, read_frame,
};

/// Calls that wait for the writer; more than one batch of the signer, so that it always has the next one.
const QUEUED_CALLS_MAX: usize = 1_024;
/// Frames of up to this many bytes go out in one write.
const WRITE_BYTES_MAX: usize = 256 << 10;
const READ_BYTES: usize = 64 << 10;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The signer said no, and why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The socket is closed. Whether the call was carried out, the journal says after the signer's restart.
    #[error("the signer has gone; what it was asked last is in its journal if it was begun")]
    SignerGone,
    /// The signer answered something else than what was asked. Both run the same program, so this is a mistake of ours.
    #[error("the signer's answer does not belong to the request")]
    WrongAnswer,
}

/// Makes a client of one end of a socket pair. Must be called in a tokio runtime.
///
/// # Errors
/// An I/O error if the socket cannot be used without blocking.
pub fn connect(stream: StdUnixStream) -> io::Result<(SignerClient, Connection)> {
    stream.set_nonblocking(true)?;
    let (reader, writer) = UnixStream::from_std(stream)?.into_split();
    let (queue, calls) = mpsc::channel(QUEUED_CALLS_MAX);
    let client = SignerClient {
        queue,
        next_id: Arc::new(AtomicU64::new(1)),
    };
    Ok((client, Connection(Box::pin(carry(reader, writer, calls)))))
}

/// Carries the frames until the signer or every client has gone.
#[must_use = "nothing is sent until it runs"]
pub struct Connection(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>);

impl Future for Connection {
    /// `Ok` when every client was dropped, `UnexpectedEof` when the signer closed the socket.
    type Output = io::Result<()>;

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection(..)")
    }
}

/// A call on its way: its frame, and who waits for the answer.
struct Call {
    id: u64,
    frame: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

/// Asks the signer. Clones share one connection.
#[derive(Debug, Clone)]
pub struct SignerClient {
    queue: mpsc::Sender<Call>,
    next_id: Arc<AtomicU64>,
}

impl SignerClient {
    /// Who the signer is, what its journal ends with, which issuers it has.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn hello(&self) -> Result<Greeting, CallError> {
        match self.call(&Request::Hello).await? {
            Answer::Greeting(greeting) => Ok(greeting),
            answer => Err(unexpected(answer)),
        }
    }

    /// Makes root and issuers; gives their certificates, the root first.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn first_run(&self, spec: FirstRun) -> Result<Vec<IssuerInfo>, CallError> {
        match self.call(&Request::FirstRun(spec)).await? {
            Answer::Made(issuers) => Ok(issuers),
            answer => Err(unexpected(answer)),
        }
    }

    /// Has a leaf certificate signed.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn sign_leaf(&self, request: SignLeaf<'_>) -> Result<Signed, CallError> {
        self.signed(&Request::SignLeaf(request)).await
    }

    /// Has a CRL signed.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn sign_crl(&self, request: SignCrl<'_>) -> Result<Signed, CallError> {
        self.signed(&Request::SignCrl(request)).await
    }

    /// Reads the journal from an entry on; see [`Replayed::next`] for how to go on.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn replay(&self, request: Replay) -> Result<Replayed, CallError> {
        match self.call(&Request::Replay(request)).await? {
            Answer::Replayed(replayed) => Ok(replayed),
            answer => Err(unexpected(answer)),
        }
    }

    async fn signed(&self, request: &Request<'_>) -> Result<Signed, CallError> {
        match self.call(request).await? {
            Answer::Signed(signed) => Ok(signed),
            answer => Err(unexpected(answer)),
        }
    }

    async fn call(&self, request: &Request<'_>) -> Result<Answer, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut frame = Vec::new();
        request.write(&mut frame, id);
        // What the signer would take for an attack is found here, so that one call cannot end the connection of all.
        frame_len(&frame).map_err(|_| Refusal::Malformed)?;
        let (answer, answered) = oneshot::channel();
        let call = Call { id, frame, answer };
        self.queue
            .send(call)
            .await
            .map_err(|_| CallError::SignerGone)?;
        match answered.await.map_err(|_| CallError::SignerGone)? {
            Answer::Refused(refusal) => Err(CallError::Refused(refusal)),
            answer => Ok(answer),
        }
    }
}

fn unexpected(_: Answer) -> CallError {
    CallError::WrongAnswer
}

/// Who waits for which id. Locked for single operations only, never over an await.
type Waiting = Mutex<HashMap<u64, oneshot::Sender<Answer>>>;

async fn carry(
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    mut calls: mpsc::Receiver<Call>,
) -> io::Result<()> {
    let waiting = Waiting::default();
    // When one direction ends so does the other; dropping `waiting` and `calls` tells every caller.
    tokio::select! {
        ended = read_answers(reader, &waiting) => ended,
        ended = write_calls(writer, &mut calls, &waiting) => ended,
    }
}

async fn write_calls(
    mut writer: OwnedWriteHalf,
    calls: &mut mpsc::Receiver<Call>,
    waiting: &Waiting,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(call) = calls.recv().await {
        let mut call = Some(call);
        while let Some(Call { id, frame, answer }) = call {
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, answer);
            if frame.len() >= WRITE_BYTES_MAX {
                // Not copied: it is a write of its own.
                writer.write_all(&bytes).await?;
                bytes.clear();
                writer.write_all(&frame).await?;
            } else {
                bytes.extend_from_slice(&frame);
            }
            call = (bytes.len() < WRITE_BYTES_MAX)
                .then(|| calls.try_recv().ok())
                .flatten();
        }
        writer.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

async fn read_answers(mut reader: OwnedReadHalf, waiting: &Waiting) -> io::Result<()> {
    let broken = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        bytes.reserve(READ_BYTES);
        if reader.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = bytes.as_slice();
        while let Some((frame, behind)) = read_frame(rest).map_err(broken)? {
            let answer = (frame.kind == FrameKind::Answer)
                .then(|| Answer::decode(frame.body))
                .flatten();
            let answer = answer.ok_or_else(|| broken("not an answer"))?;
            let waits = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&frame.id);
            if let Some(waits) = waits {
                // Who has stopped waiting does not want it.
                let _ = waits.send(answer);
            }
            rest = behind;
        }
        let read = bytes.len() - rest.len();
        bytes.drain(..read);
        bytes.shrink_to(READ_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::world::{World, spec};

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_io()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    /// A client of `stream` with its connection running beside `with`.
    fn with_client<T>(
        stream: StdUnixStream,
        with: impl AsyncFnOnce(SignerClient) -> T,
    ) -> (T, io::Result<()>) {
        block_on(async {
            let (client, connection) = connect(stream).expect("connects");
            tokio::join!(with(client), connection)
        })
    }

    #[test]
    fn concurrent_calls_each_get_their_own_answer() {
        let world = World::new();
        let signer = world.start();
        let stream = signer.socket.try_clone().expect("clones");
        let (report, ended) = with_client(stream, async |client| {
            assert_eq!(client.hello().await.expect("hello").issuers, []);
            let made = client.first_run(spec()).await.expect("makes");
            assert_eq!(client.hello().await.expect("hello").issuers, made);
            let issuer = crate::service::tests::world::parse(&made[1]);
            let leaves: Vec<_> = (0..50).map(|_| world.leaf(&issuer)).collect();
            let mut calls = tokio::task::LocalSet::new();
            let signed = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
            for leaf in leaves {
                let (client, signed) = (client.clone(), signed.clone());
                calls.spawn_local(async move {
                    let answer = client.sign_leaf(leaf.request()).await.expect("signs");
                    signed.borrow_mut().push((answer.sequence, leaf.serial));
                });
            }
            (&mut calls).await;
            let replayed = client
                .replay(Replay {
                    from: 1,
                    entries_max: 1_000,
                })
                .await
                .expect("replays");
            for (sequence, serial) in signed.borrow().iter() {
                let record = replayed
                    .records
                    .iter()
                    .find(|record| record.sequence == *sequence);
                let entry = &record.expect("there").entry;
                let crate::journal::Entry::Intent(intent) = entry else {
                    panic!("{entry:?}")
                };
                assert_eq!(intent.serial, *serial);
            }
            let crl = world.crl(&issuer, 1, &[]);
            client.sign_crl(crl.request()).await.expect("signs");
            let again = client.sign_crl(crl.request()).await;
            assert!(matches!(
                again,
                Err(CallError::Refused(Refusal::NumberNotIncreasing { .. }))
            ));
            signed.borrow().len()
        });
        assert_eq!(report, 50);
        ended.expect("every client was dropped");
        signer.stop().expect("ends");
    }

    #[test]
    fn when_the_signer_goes_every_waiting_call_hears_of_it() {
        let (stream, signer) = StdUnixStream::pair().expect("a socket pair");
        let (answers, ended) = with_client(stream, async |client| {
            let first = client.hello();
            let second = client.hello();
            let dies = async {
                tokio::task::yield_now().await;
                drop(signer);
            };
            let (first, second, ()) = tokio::join!(first, second, dies);
            (first, second, client.hello().await)
        });
        let gone = || Err(CallError::SignerGone);
        assert_eq!(answers, (gone(), gone(), gone()));
        assert!(ended.is_err());
    }

    #[test]
    fn a_request_that_no_frame_may_hold_is_refused_here_and_the_connection_goes_on() {
        let world = World::new();
        let (signer, issuer) = world.made();
        let mut large = world.leaf(&issuer);
        large.tbs = vec![0; 70_000];
        let stream = signer.socket.try_clone().expect("clones");
        let ((), ended) = with_client(stream, async |client| {
            let refused = client.sign_leaf(large.request()).await;
            assert_eq!(refused, Err(CallError::Refused(Refusal::Malformed)));
            client.hello().await.expect("goes on");
        });
        ended.expect("every client was dropped");
    }
}
