//! The web host on which names are proven by http-01: it serves what it is told and keeps what it was asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_acme::HTTP01_PATH;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::runtime;

/// A validator that has not said what it wants by then is gone.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// The request line and all headers.
const REQUEST_OCTETS_MAX: u64 = 16 * 1024;

/// The running host. Dropping it ends it.
#[derive(Debug)]
pub struct Web {
    addr: SocketAddr,
    pages: Arc<Mutex<Pages>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Pages {
    by_path: HashMap<String, Page>,
    asked: HashMap<String, usize>,
}

#[derive(Debug, Clone)]
enum Page {
    Text(String),
    Redirect(String),
}

impl Web {
    /// Starts on this address; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn start(addr: SocketAddr) -> Result<Self, String> {
        let bound = runtime().block_on(TcpListener::bind(addr));
        let listener = bound.map_err(|error| format!("no web host on {addr}: {error}"))?;
        let addr = listener.local_addr().map_err(|error| error.to_string())?;
        let pages = Arc::new(Mutex::new(Pages::default()));
        let served = Arc::clone(&pages);
        let task = runtime().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let pages = Arc::clone(&served);
                tokio::spawn(async move {
                    // A validator that breaks off asks again, or does not: nobody's failure.
                    timeout(REQUEST_WITHIN, answer(stream, &pages)).await.ok();
                });
            }
        });
        Ok(Self { addr, pages, task })
    }

    /// The address it answers on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address that names have to lead to.
    pub(super) fn reached_at(&self) -> IpAddr {
        if self.addr.ip().is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            self.addr.ip()
        }
    }

    /// Serves this text for a token.
    pub(super) fn put(&self, token: &str, text: &str) {
        let page = Page::Text(text.to_owned());
        lock(&self.pages).by_path.insert(path_of(token), page);
    }

    /// Serves this text elsewhere, and sends who asks for the token there.
    pub(super) fn put_behind_redirect(&self, token: &str, text: &str) {
        let elsewhere = format!("/elsewhere/{token}");
        let mut pages = lock(&self.pages);
        let page = Page::Redirect(elsewhere.clone());
        pages.by_path.insert(path_of(token), page);
        let page = Page::Text(text.to_owned());
        pages.by_path.insert(elsewhere, page);
    }

    /// How often a token was asked for.
    pub(super) fn asked(&self, token: &str) -> usize {
        let asked = lock(&self.pages).asked.get(&path_of(token)).copied();
        asked.unwrap_or_default()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn path_of(token: &str) -> String {
    format!("{HTTP01_PATH}{token}")
}

fn lock(pages: &Mutex<Pages>) -> MutexGuard<'_, Pages> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(stream: TcpStream, pages: &Mutex<Pages>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream.take(REQUEST_OCTETS_MAX));
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let mut header = String::new();
    while stream.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = {
        let mut pages = lock(pages);
        let page = pages.by_path.get(&path).cloned();
        *pages.asked.entry(path).or_default() += 1;
        page
    };
    let (head, body) = match page {
        Some(Page::Text(text)) => ("200 OK".to_owned(), text),
        Some(Page::Redirect(to)) => (format!("302 Found\r\nLocation: {to}"), String::new()),
        None => ("404 Not Found".to_owned(), String::new()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {head}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let mut stream = stream.into_inner().into_inner();
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
