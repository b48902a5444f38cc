//! What the TCP servers here have in common: one task that accepts, a bounded number of connections, and an
//! end that comes with the owner's.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::SimulateError;

/// More than the load generator ever opens; a leak shows as a stall rather than as a full process.
const CONNECTIONS_MAX: usize = 2048;
/// After a failed accept (most often: no file descriptor left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SimulateError> {
    let listen = |source| SimulateError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    Ok((listener, bound))
}

/// Serves each connection by `serve`. The connections belong to the returned task and end with it.
pub(crate) fn accept<Serving>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> Serving + Send + 'static,
) -> Task
where
    Serving: Future<Output = ()> + Send + 'static,
{
    Task::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Answers are one small segment each; waiting to fill a bigger one only costs time.
            stream.set_nodelay(true).ok();
            let serving = serve(stream);
            connections.spawn(async move {
                serving.await;
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
    })
}
