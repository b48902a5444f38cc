//! A web server for clients that leave it to others to tell their http-01 answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use chancery_acme::HTTP01_PATH;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::runtime;

/// The running server; dropping it ends it, and its port is free then.
#[derive(Debug)]
pub struct Webroot(JoinHandle<()>);

impl Webroot {
    /// Serves the files of `folder` below the path of http-01.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn serve(port: u16, folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::answering(port, move |token| std::fs::read(folder.join(token)).ok())
    }

    /// Answers http-01 by what `find` gives for a token.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn answering(
        port: u16,
        find: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime()
            .block_on(TcpListener::bind(addr))
            .expect("the port is free");
        let find = Arc::new(find);
        Self(runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &*find).await.ok();
            }
        }))
    }
}

impl Drop for Webroot {
    fn drop(&mut self) {
        self.0.abort();
        runtime().block_on(&mut self.0).ok();
    }
}

async fn answer(
    stream: TcpStream,
    find: &(impl Fn(&str) -> Option<Vec<u8>> + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut header = String::new();
    while stream.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let answer = match token_of(&first).and_then(find) {
        Some(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        }
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

/// What `GET /.well-known/acme-challenge/TOKEN HTTP/1.1` asks for; a token is no path to anywhere.
fn token_of(request: &str) -> Option<&str> {
    let target = request.split(' ').nth(1)?;
    let token = target.strip_prefix(HTTP01_PATH)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    token.chars().all(plain).then_some(token)
}
