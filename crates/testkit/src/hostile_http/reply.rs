use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

/// Sent in one piece by the replies that flood.
const PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];

/// What the server does with one request. After it the connection is closed, unless said otherwise.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An ordinary answer.
    Page {
        /// The status code.
        status: u16,
        /// Headers besides the length.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// A redirect to the very target that was asked for.
    RedirectToItself {
        /// The status code.
        status: u16,
    },
    /// Status 200, then the body one octet at a time.
    SlowBody {
        /// The body, announced with its length.
        body: Vec<u8>,
        /// The wait before each octet.
        every: Duration,
    },
    /// Status 200, then one octet of a header at a time, without end.
    SlowHeaders {
        /// The wait before each octet.
        every: Duration,
    },
    /// Status 200 with a body of so many octets, announced with its length.
    HugeBody {
        /// Octets of the body.
        octets: u64,
    },
    /// Status 200 with a chunked body (RFC 9112 §7.1) that never ends.
    EndlessBody,
    /// Status 200 with headers of so many octets.
    HugeHeaders {
        /// Octets of the headers.
        octets: u64,
    },
    /// Status 200 announcing a longer body than comes before the connection is closed.
    ShortBody {
        /// The length announced.
        announced: u64,
        /// What comes.
        body: Vec<u8>,
    },
    /// These octets.
    Raw(Vec<u8>),
    /// Nothing, for as long as the client stays.
    Silence,
    /// Nothing, and the connection is closed.
    Close,
    /// The other reply, so much later.
    After(Duration, Box<Self>),
}

impl Reply {
    /// An ordinary answer with a plain text.
    #[must_use]
    pub fn page(status: u16, body: &str) -> Self {
        Self::Page {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A redirect: `location` goes into the header as it is, right or wrong.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        let headers = vec![("Location".to_owned(), location.to_owned())];
        Self::Page {
            status,
            headers,
            body: Vec::new(),
        }
    }

    pub(super) async fn send(
        self,
        target: &str,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let mut reply = self;
        while let Self::After(wait, then) = reply {
            sleep(wait).await;
            reply = *then;
        }
        match reply {
            Self::Page {
                status,
                headers,
                body,
            } => {
                stream.write_all(&page(status, &headers, &body)).await?;
            }
            Self::RedirectToItself { status } => {
                let location = ("Location".to_owned(), target.to_owned());
                stream.write_all(&page(status, &[location], b"")).await?;
            }
            Self::SlowBody { body, every } => {
                stream.write_all(&head(body.len() as u64)).await?;
                dribble(stream, body.into_iter(), every).await?;
            }
            Self::SlowHeaders { every } => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await?;
                dribble(stream, std::iter::repeat(b'x'), every).await?;
            }
            Self::HugeBody { octets } => {
                stream.write_all(&head(octets)).await?;
                flood(stream, octets).await?;
            }
            Self::EndlessBody => endless_body(stream).await?,
            Self::HugeHeaders { octets } => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await?;
                flood(stream, octets).await?;
                stream.write_all(b"\r\nContent-Length: 0\r\n\r\n").await?;
            }
            Self::ShortBody { announced, body } => {
                stream.write_all(&[head(announced), body].concat()).await?;
            }
            Self::Raw(octets) => stream.write_all(&octets).await?,
            Self::Silence => pending().await,
            Self::Close | Self::After(..) => {}
        }
        stream.shutdown().await
    }
}

fn head(length: u64) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").into_bytes()
}

fn page(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut page = format!("HTTP/1.1 {status} Scripted\r\nConnection: close\r\n");
    for (name, value) in headers {
        page += &format!("{name}: {value}\r\n");
    }
    page += &format!("Content-Length: {}\r\n\r\n", body.len());
    [page.as_bytes(), body].concat()
}

async fn dribble(
    stream: &mut (impl AsyncWrite + Unpin),
    octets: impl Iterator<Item = u8>,
    every: Duration,
) -> io::Result<()> {
    for octet in octets {
        sleep(every).await;
        stream.write_all(&[octet]).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn flood(stream: &mut (impl AsyncWrite + Unpin), octets: u64) -> io::Result<()> {
    let mut left = octets;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.len());
        stream.write_all(&PIECE[..len]).await?;
        left -= len as u64;
    }
    Ok(())
}

async fn endless_body(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let chunk = [format!("{:x}\r\n", PIECE.len()).as_bytes(), &PIECE, b"\r\n"].concat();
    loop {
        stream.write_all(&chunk).await?;
    }
}
