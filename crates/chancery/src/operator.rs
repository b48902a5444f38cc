//! The verbs that ask a running server, over HTTP on its socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{Exit, Server, say};

/// Octets of one answer; a page of a thousand certificates is well below.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time for one answer; the invariants of a large store take long.
const ANSWER_TIME: Duration = Duration::from_secs(3600);

pub(crate) fn status(server: &Server) -> Result<(), Exit> {
    let told = get(server, "/api/v1/status")?;
    if server.json {
        say(&told);
        return Ok(());
    }
    say(format_args!(
        "version {} at {}",
        text(&told["version"]),
        text(&told["now"])
    ));
    say(format_args!("gateways: {}", list(&told["gateways"])));
    for issuer in items(&told["issuers"]) {
        say(format_args!(
            "issuer {}: valid until {}, {} CRL shards",
            text(&issuer["issuer"]),
            text(&issuer["not_after"]),
            text(&issuer["crl_shards"])
        ));
    }
    say(format_args!(
        "soonest nextUpdate of a CRL: {}",
        text(&told["soonest_crl_next_update"])
    ));
    say(format_args!(
        "CRLs waiting: {}, validations under way: {}",
        told["crls_waiting"], told["validations"]
    ));
    for limit in items(&told["limits"]) {
        let rate = match &limit["rate"] {
            Value::Null => "off".to_owned(),
            rate => text(rate),
        };
        say(format_args!(
            "limit {}: {rate}, refused since the start: {}",
            text(&limit["limit"]),
            limit["refused"]
        ));
    }
    Ok(())
}

pub(crate) fn list_certificates(
    server: &Server,
    revoked: bool,
    expires_before: Option<&str>,
) -> Result<(), Exit> {
    let mut filter = String::new();
    if revoked {
        filter.push_str("&status=revoked");
    }
    if let Some(time) = expires_before {
        filter.push_str(&format!("&expires_before={time}"));
    }
    let columns = ["serial", "status", "not_after", "profile", "names"];
    every(server, "/api/v1/certificates", &filter, &columns)
}

pub(crate) fn show_certificate(server: &Server, serial: &str) -> Result<(), Exit> {
    let told = get(server, &format!("/api/v1/certificates/{}", plain(serial)?))?;
    show(server, &told);
    Ok(())
}

pub(crate) fn revoke_certificate(
    server: &Server,
    serial: &str,
    reason: Option<&str>,
    yes: bool,
) -> Result<(), Exit> {
    let serial = plain(serial)?;
    if !yes {
        let told = get(server, &format!("/api/v1/certificates/{serial}"))?;
        say(format_args!(
            "would revoke {} for {} ({}), valid until {}; say --yes to do it",
            text(&told["serial"]),
            list(&told["names"]),
            text(&told["status"]),
            text(&told["not_after"])
        ));
        return Ok(());
    }
    let body = serde_json::json!({ "reason": reason }).to_string();
    let told = ask(
        server,
        Method::POST,
        &format!("/api/v1/certificates/{serial}/revoke"),
        body,
    )?;
    if server.json {
        say(&told);
    } else {
        say(format_args!(
            "revoked {} at {}",
            text(&told["serial"]),
            text(&told["revoked_at"])
        ));
    }
    Ok(())
}

pub(crate) fn list_crls(server: &Server) -> Result<(), Exit> {
    let columns = [
        "issuer",
        "shard",
        "number",
        "this_update",
        "next_update",
        "entries",
    ];
    every(server, "/api/v1/crls", "", &columns)
}

pub(crate) fn doctor(server: &Server, invariants: bool) -> Result<(), Exit> {
    if !invariants {
        return status(server);
    }
    let told = get(server, "/api/v1/invariants")?;
    let broken = items(&told["broken"]);
    if server.json {
        say(&told);
    } else {
        say(format_args!(
            "{} checks, {} broken",
            told["checked"],
            broken.len()
        ));
        for line in broken {
            say(format_args!("broken: {}", text(line)));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Exit::failed(
        "an invariant is broken; keep a copy of the data folder before anything else is tried",
    ))
}

/// The invariants that do not hold, for `demo`.
pub(crate) fn broken_invariants(server: &Server) -> Result<Vec<String>, Exit> {
    let told = get(server, "/api/v1/invariants")?;
    Ok(items(&told["broken"]).iter().map(text).collect())
}

pub(crate) fn verify_audit(server: &Server) -> Result<(), Exit> {
    let told = get(server, "/api/v1/audit/verify")?;
    let whole = told["whole"].as_bool().unwrap_or(false);
    if server.json {
        say(&told);
    } else if whole {
        say(format_args!(
            "{} blocks, all whole; head {}",
            told["blocks"],
            text(&told["head"])
        ));
    }
    if whole {
        return Ok(());
    }
    Err(Exit::failed(text(&told["error"])))
}

/// Prints all pages of a listing.
pub(crate) fn every(
    server: &Server,
    path: &str,
    filter: &str,
    columns: &[&str],
) -> Result<(), Exit> {
    let mut after = "0".to_owned();
    if !server.json {
        say(format_args!("{}", columns.join("\t")));
    }
    loop {
        let told = get(server, &paged(path, &after, filter))?;
        for item in items(&told["items"]) {
            if server.json {
                say(item);
            } else {
                let row: Vec<String> = columns.iter().map(|column| cell(&item[*column])).collect();
                say(format_args!("{}", row.join("\t")));
            }
        }
        match told["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(()),
        }
    }
}

fn paged(path: &str, after: &str, filter: &str) -> String {
    format!("{path}?after={after}&limit=500{filter}")
}

pub(crate) fn show(server: &Server, told: &Value) {
    if server.json {
        say(told);
        return;
    }
    if let Value::Object(members) = told {
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::Array(list) if list.iter().any(Value::is_object) => {
                    for item in list {
                        say(format_args!("{name}: {item}"));
                    }
                }
                value => say(format_args!("{name}: {}", cell(value))),
            }
        }
    }
}

pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> String {
    cell(value)
}

pub(crate) fn list(value: &Value) -> String {
    cell(value)
}

pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A word that goes into a path as it is.
pub(crate) fn plain(word: &str) -> Result<&str, Exit> {
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(word);
    }
    Err(Exit::usage(format!(
        "{word:?} is no serial or id; `cert list` and `order list` show them"
    )))
}

pub(crate) fn get(server: &Server, path: &str) -> Result<Value, Exit> {
    ask(server, Method::GET, path, String::new())
}

pub(crate) fn ask(
    server: &Server,
    method: Method,
    path: &str,
    body: String,
) -> Result<Value, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    let socket = server.data.join("admin.sock");
    let asked = runtime.block_on(async {
        tokio::time::timeout(ANSWER_TIME, exchange(&socket, method, path, body)).await
    });
    let (status, told) = asked.map_err(|_| Exit::failed("the server did not answer in time"))??;
    if status.is_success() {
        return Ok(told);
    }
    Err(Exit::failed(text(&told["error"])))
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, Value), Exit> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        Exit::failed(format!(
            "no server answers at {}: {error}; is `chancery serve` running with this --data, and are you its user or root?",
            socket.display()
        ))
    })?;
    let broken = |error: hyper::Error| Exit::failed(format!("the server broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body)))
        .map_err(Exit::usage)?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let bytes = body
        .map_err(|error| Exit::failed(format!("the answer broke off: {error}")))?
        .to_bytes();
    let told = serde_json::from_slice(&bytes)
        .map_err(|error| Exit::failed(format!("the server's answer is no JSON: {error}")))?;
    Ok((status, told))
}
