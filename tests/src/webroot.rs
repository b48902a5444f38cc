//! A web server over a folder, for clients that put their http-01 answers into files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chancery_acme::HTTP01_PATH;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::runtime;

/// The running server; dropping it ends it.
#[derive(Debug)]
pub struct Webroot(JoinHandle<()>);

impl Webroot {
    /// Serves the files of `folder` below the path of http-01.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn serve(port: u16, folder: &Path) -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime()
            .block_on(TcpListener::bind(addr))
            .expect("the port is free");
        let folder = folder.to_owned();
        Self(runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &folder).await.ok();
            }
        }))
    }
}

impl Drop for Webroot {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut header = String::new();
    while stream.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let found = file_of(&first, folder).and_then(|path| std::fs::read(path).ok());
    let answer = match found {
        Some(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        }
        None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

/// The file that `GET /.well-known/acme-challenge/NAME HTTP/1.1` asks for.
fn file_of(request: &str, folder: &Path) -> Option<PathBuf> {
    let target = request.split(' ').nth(1)?;
    let name = target.strip_prefix(HTTP01_PATH)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.chars().all(plain).then(|| folder.join(name))
}
