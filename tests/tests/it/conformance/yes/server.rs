//! The server: plain HTTP, one request a connection, every object as a client would like it to be.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chancery_jose::{b64, unb64};
use chancery_tests::conform::Credential;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

/// The running server. It ends with the process of the test.
pub(super) struct YesSayer(Arc<State>);

struct State {
    base: String,
    /// Numbers objects and nonces.
    count: AtomicUsize,
    /// The identifiers of every order, by its number.
    orders: Mutex<Vec<Value>>,
    /// Those that were finalized.
    done: Mutex<BTreeSet<usize>>,
    certificate: String,
}

impl YesSayer {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        let state = Arc::new(State {
            base: format!("http://{addr}"),
            count: AtomicUsize::new(0),
            orders: Mutex::default(),
            done: Mutex::default(),
            certificate: params.self_signed(&key).expect("a certificate").pem(),
        });
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&served);
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
        Self(state)
    }

    pub(super) fn directory(&self) -> String {
        format!("{}/directory", self.0.base)
    }

    /// Any would do.
    pub(super) fn credential(&self) -> Credential {
        Credential {
            kid: "anybody".to_owned(),
            key: b64(b"any secret"),
        }
    }
}

/// An answer: its status, the path of what was made, and the object.
type Agreed = (u16, Option<String>, String);

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, made, object) = self.agree(path, &payload(&body));
        let nonce = b64(format!("nonce number {:032}", self.next()).as_bytes());
        let location = made.map(|path| format!("Location: {}{path}\r\n", self.base));
        let body = if first.starts_with("HEAD") {
            ""
        } else {
            object.as_str()
        };
        let answer = format!(
            "HTTP/1.1 {status} Yes\r\nContent-Type: application/json\r\nReplay-Nonce: {nonce}\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            location.unwrap_or_default(),
            object.len(),
        );
        reader.into_inner().write_all(answer.as_bytes())
    }

    fn next(&self) -> usize {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    fn agree(&self, path: &str, asked: &Value) -> Agreed {
        let mut segments = path.trim_start_matches('/').split('/');
        let kind = segments.next().unwrap_or_default();
        let number = segments
            .next()
            .and_then(|n| n.trim_end_matches('0').parse().ok());
        let number: usize = number.unwrap_or_default();
        match kind {
            "directory" => (200, None, self.directory()),
            "newAccount" => {
                let path = format!("/account/{}1", self.next());
                (201, Some(path), self.object("account", 0, asked))
            }
            "newOrder" => {
                let number = self.place(asked["identifiers"].clone());
                let path = format!("/order/{number}");
                (201, Some(path), self.object("order", number, asked))
            }
            "newAuthz" => {
                let number = self.place(json!([asked["identifier"]]));
                let path = format!("/authorization/{number}");
                (201, Some(path), self.object("authorization", number, asked))
            }
            "certificate" => (200, None, self.certificate.clone()),
            _ => (200, None, self.object(kind, number, asked)),
        }
    }

    /// The number of an order for these. It ends in 1, so that no zero behind it makes another.
    fn place(&self, identifiers: Value) -> usize {
        let mut orders = self.orders.lock().expect("no thread fails");
        orders.push(identifiers);
        orders.len() * 10 + 1
    }

    fn directory(&self) -> String {
        let url = |resource: &str| json!(format!("{}/{resource}", self.base));
        let mut directory = json!({ "meta": { "termsOfService": url("terms") } });
        let resources = [
            "newNonce",
            "newAccount",
            "newOrder",
            "newAuthz",
            "revokeCert",
            "keyChange",
        ];
        for resource in resources {
            directory[resource] = url(resource);
        }
        directory.to_string()
    }

    /// The object of this kind; what the client says of it is so.
    fn object(&self, kind: &str, number: usize, asked: &Value) -> String {
        let url = |kind: &str| format!("{}/{kind}/{number}", self.base);
        let orders = self.orders.lock().expect("no thread fails");
        let identifiers = orders.get((number / 10).wrapping_sub(1)).cloned();
        let identifiers = identifiers.unwrap_or_else(|| asked["identifiers"].clone());
        let mut done = self.done.lock().expect("no thread fails");
        if kind == "finalize" {
            done.insert(number);
        }
        let object = match kind {
            "account" => json!({
                "status": asked["status"].as_str().unwrap_or("valid"),
                "orders": url("orders"),
            }),
            "order" | "finalize" => json!({
                "status": if done.contains(&number) { "valid" } else { "ready" },
                "identifiers": identifiers,
                "authorizations": [url("authorization")],
                "finalize": url("finalize"),
                "certificate": url("certificate"),
                "expires": "2099-01-01T00:00:00Z",
            }),
            "authorization" => json!({
                "status": "valid",
                "identifier": identifiers[0],
                "expires": "2099-01-01T00:00:00Z",
                "challenges": [self.challenge("http-01", number), self.challenge("dns-01", number)],
            }),
            "challenge" => self.challenge("http-01", number),
            _ => json!({}),
        };
        object.to_string()
    }

    fn challenge(&self, kind: &str, number: usize) -> Value {
        json!({
            "type": kind,
            "status": "valid",
            "url": format!("{}/challenge/{number}", self.base),
            "token": b64(format!("token number {number:032}").as_bytes()),
            "validated": "2020-01-01T00:00:00Z",
        })
    }
}

/// The payload of a JWS, which nobody verifies.
fn payload(body: &[u8]) -> Value {
    let jws: Value = serde_json::from_slice(body).unwrap_or_default();
    let payload = jws["payload"].as_str().and_then(|text| unb64(text).ok());
    serde_json::from_slice(&payload.unwrap_or_default()).unwrap_or_default()
}
