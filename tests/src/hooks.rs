//! A door for scripts of foreign clients: what they say is done to the [`Site`].
//!
//! A script connects to 127.0.0.1, says one line, and waits for `ok`:
//! `txt+ NAME VALUE` and `txt- NAME VALUE` for dns-01 of NAME, `http+ TOKEN VALUE` and `http- TOKEN` for http-01.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{Site, runtime};

/// The open door; dropping it closes it.
#[derive(Debug)]
pub struct Hooks {
    port: u16,
    task: JoinHandle<()>,
}

impl Hooks {
    /// Opens it.
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn open(site: &Site) -> Self {
        let listener = runtime().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        Self {
            port,
            task: runtime().spawn(listen(listener, site.clone())),
        }
    }

    /// Where scripts connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, site: Site) {
    while let Ok((stream, _)) = listener.accept().await {
        // A script that breaks off fails by itself, and its client's test with it.
        hear(stream, &site).await.ok();
    }
}

async fn hear(stream: TcpStream, site: &Site) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer: &[u8] = match words.as_slice() {
        ["txt+", name, value] => {
            site.add_dns01(name, value);
            b"ok\n"
        }
        ["txt-", name, value] => {
            site.remove_dns01(name, value);
            b"ok\n"
        }
        ["http+", token, value] => {
            site.tokens.put_token(*token, *value);
            b"ok\n"
        }
        ["http-", token] => {
            site.tokens.remove_token(token);
            b"ok\n"
        }
        _ => b"what?\n",
    };
    stream.write_all(answer).await
}
