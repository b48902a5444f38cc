//! The accept loop: connections in, bounded; requests to a handler; a graceful end.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::limits::{Limits, Seat, Seats};

/// A whole answer, ready to send.
pub type Answer = Response<Full<Bytes>>;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub enum Peer {
    /// A network client.
    Network(IpAddr),
    /// A local process, with its user number as the kernel tells it.
    Local {
        /// The user.
        uid: u32,
    },
}

/// Answers requests. It bounds what it reads of the body itself.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request<Incoming>, peer: Peer)
    -> impl Future<Output = Answer> + Send;
}

/// Says when to stop: becomes true, or its sender goes away.
pub type Stop = watch::Receiver<bool>;

/// Serves TCP until told to stop, then lets open requests finish.
pub async fn serve_tcp<H: Handler>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Arc<H>,
    limits: Limits,
    mut stop: Stop,
) {
    let seats = Arc::new(Seats::default());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(seat) = seats.take(&limits, address.ip()) else {
            continue;
        };
        let connection = Connection {
            handler: Arc::clone(&handler),
            limits: limits.clone(),
            watcher: graceful.watcher(),
        };
        tokio::spawn(connection.serve_stream(stream, address, tls.clone(), seat));
    }
    drain(graceful, limits.drain).await;
}

/// Serves a Unix socket; the kernel tells who connects.
pub async fn serve_unix<H: Handler>(
    listener: UnixListener,
    handler: Arc<H>,
    limits: Limits,
    mut stop: Stop,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(credentials) = stream.peer_cred() else {
            continue;
        };
        let connection = Connection {
            handler: Arc::clone(&handler),
            limits: limits.clone(),
            watcher: graceful.watcher(),
        };
        let peer = Peer::Local {
            uid: credentials.uid(),
        };
        tokio::spawn(async move { connection.serve(stream, peer).await });
    }
    drain(graceful, limits.drain).await;
}

/// Wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn drain(graceful: GracefulShutdown, limit: Duration) {
    if tokio::time::timeout(limit, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and are cut off");
    }
}

struct Connection<H> {
    handler: Arc<H>,
    limits: Limits,
    watcher: Watcher,
}

impl<H: Handler> Connection<H> {
    async fn serve_stream(
        self,
        stream: TcpStream,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        _seat: Seat,
    ) {
        let _ = stream.set_nodelay(true);
        let peer = Peer::Network(address.ip());
        match tls {
            None => self.serve(stream, peer).await,
            Some(tls) => {
                // A failed handshake is the client's affair; there is no answer to give.
                let shaken = tokio::time::timeout(self.limits.handshake, tls.accept(stream)).await;
                if let Ok(Ok(stream)) = shaken {
                    self.serve(stream, peer).await;
                }
            }
        }
    }

    async fn serve<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = self.builder();
        let handler = self.handler;
        let begun = AtomicBool::new(false);
        let service = service_fn(|request| {
            begun.store(true, Ordering::Relaxed);
            let handler = Arc::clone(&handler);
            async move { Ok::<_, std::convert::Infallible>(handler.handle(request, peer).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(self.watcher.watch(connection));
        // Until the first request nothing else looks at the clock: not while the versions are told apart, nor while
        // HTTP/2 begins (failures B10). Broken connections are everyday; what was asked has been answered or not.
        let early = tokio::time::timeout(self.limits.head, &mut connection).await;
        if early.is_err() && begun.load(Ordering::Relaxed) {
            let _ = connection.await;
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes_max)
            .max_headers(64)
            .half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(Some(20))
            .max_local_error_reset_streams(Some(64))
            .keep_alive_interval(Some(limits.head))
            .keep_alive_timeout(limits.head);
        builder
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HEAD: Duration = Duration::from_millis(150);
    /// What is not ended by then is held.
    const ENDED_WITHIN: Duration = Duration::from_secs(5);

    struct Echo;

    impl Handler for Echo {
        async fn handle(&self, request: Request<Incoming>, _peer: Peer) -> Answer {
            let body = request.into_body().collect().await;
            Response::new(Full::new(body.map(|it| it.to_bytes()).unwrap_or_default()))
        }
    }

    /// A listener that gives heads little time, and the end of it.
    async fn listening() -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(false);
        let limits = Limits {
            head: HEAD,
            ..Limits::default()
        };
        tokio::spawn(serve_tcp(listener, None, Arc::new(Echo), limits, stopped));
        (address, stop)
    }

    /// What is said to a client that says this and falls silent, until it is hung up on.
    async fn said_to(address: SocketAddr, opening: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(opening).await.expect("is taken");
        let mut said = Vec::new();
        tokio::time::timeout(ENDED_WITHIN, stream.read_to_end(&mut said))
            .await
            .unwrap_or_else(|_| panic!("held after {:?}", String::from_utf8_lossy(opening)))
            .ok();
        said
    }

    #[tokio::test]
    async fn b10_a_connection_that_falls_silent_is_ended_wherever_it_stands() {
        let (address, _stop) = listening().await;
        let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let unfinished = [&settings[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
        for opening in [
            &b""[..],
            b"G",
            b"P",
            b"PRI * HTTP/2.0\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            settings,
            &unfinished,
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        ] {
            said_to(address, opening).await;
        }
        // One that was answered and stays is ended too.
        let said = said_to(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(said.starts_with(b"HTTP/1.1 200 OK\r\n"), "{said:?}");
    }

    #[tokio::test]
    async fn a_client_that_keeps_asking_is_not_hung_up_on() {
        let (address, _stop) = listening().await;
        let mut stream = TcpStream::connect(address).await.expect("connects");
        for _ in 0..4 {
            tokio::time::sleep(HEAD / 2).await;
            let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(asked).await.expect("is taken");
            let mut some = [0; 512];
            let count = stream.read(&mut some).await.expect("an answer");
            assert!(some[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
        }
    }
}
