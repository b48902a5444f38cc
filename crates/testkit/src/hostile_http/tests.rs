use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use super::*;

const SOON: Duration = Duration::from_secs(20);

async fn server() -> HostileHttp {
    HostileHttp::start().await.expect("a free port")
}

async fn connect(server: &HostileHttp, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\nX-Two:  words \r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

async fn get(server: &HostileHttp, target: &str) -> String {
    let mut stream = connect(server, target).await;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("received");
    answer
}

#[tokio::test]
async fn a_sequence_gives_each_request_its_own_reply_and_repeats_the_last() {
    let server = server().await;
    server.on("/a", [Reply::page(500, ""), Reply::page(200, "body")]);
    assert!(get(&server, "/a").await.starts_with("HTTP/1.1 500 "));
    for _ in 0..2 {
        assert!(
            get(&server, "/a?query")
                .await
                .ends_with("\r\nContent-Length: 4\r\n\r\nbody")
        );
    }
    assert!(get(&server, "/b").await.starts_with("HTTP/1.1 404 "));
    assert_eq!(server.connections(), 4);
    let requests = server.requests();
    assert_eq!(
        (requests[1].method.as_str(), requests[1].target.as_str()),
        ("GET", "/a?query")
    );
    assert_eq!(requests[1].header("x-two"), Some("words"));
}

#[tokio::test]
async fn redirects_go_anywhere_and_round_and_round() {
    let server = server().await;
    let anywhere = "ftp://[fe80::1%25eth0]:22/";
    server.on("/a", [Reply::redirect(303, anywhere)]);
    server.on("/loop", [Reply::RedirectToItself { status: 302 }]);
    server.hops("/h", 301, 2, Reply::page(200, "end"));
    assert!(
        get(&server, "/a")
            .await
            .contains("\r\nLocation: ftp://[fe80::1%25eth0]:22/\r\n")
    );
    assert!(
        get(&server, "/loop?x")
            .await
            .contains("\r\nLocation: /loop?x\r\n")
    );
    let mut target = "/h".to_owned();
    for _ in 0..2 {
        let answer = get(&server, &target).await;
        let (_, rest) = answer.split_once("Location: ").expect("a redirect");
        target = rest.split("\r\n").next().expect("a line").to_owned();
    }
    assert!(get(&server, &target).await.ends_with("end"));
}

#[tokio::test]
async fn bodies_are_slow_huge_short_or_raw_as_asked() {
    let server = server().await;
    let every = Duration::from_millis(1);
    server.on(
        "/slow",
        [Reply::SlowBody {
            body: b"slow".to_vec(),
            every,
        }],
    );
    server.on("/huge", [Reply::HugeBody { octets: 1_000_000 }]);
    server.on(
        "/short",
        [Reply::ShortBody {
            announced: 9,
            body: b"1".to_vec(),
        }],
    );
    server.on("/raw", [Reply::Raw(b"nonsense".to_vec())]);
    server.on("/close", [Reply::Close]);
    assert!(get(&server, "/slow").await.ends_with("slow"));
    assert_eq!(
        get(&server, "/huge")
            .await
            .split("\r\n\r\n")
            .nth(1)
            .map(str::len),
        Some(1_000_000)
    );
    assert!(
        get(&server, "/short")
            .await
            .contains("Content-Length: 9\r\n")
    );
    assert_eq!(get(&server, "/raw").await, "nonsense");
    assert_eq!(get(&server, "/close").await, "");
}

#[tokio::test]
async fn what_never_ends_ends_with_the_server() {
    let server = server().await;
    server.on("/silence", [Reply::Silence]);
    server.on("/body", [Reply::EndlessBody]);
    server.on(
        "/headers",
        [Reply::SlowHeaders {
            every: Duration::from_millis(1),
        }],
    );
    let mut silent = connect(&server, "/silence").await;
    for target in ["/body", "/headers"] {
        let mut endless = connect(&server, target).await;
        let mut some = vec![0; 50];
        endless.read_exact(&mut some).await.expect("it goes on");
    }
    drop(server);
    let end = timeout(SOON, silent.read(&mut [0; 1]))
        .await
        .expect("in time");
    assert_eq!(end.unwrap_or_default(), 0, "closed without a word");
}

#[tokio::test]
async fn over_tls_it_shows_a_certificate_that_nobody_trusts() {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = HostileHttp::start_tls(addr).await.expect("a free port");
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    let stream = TcpStream::connect(server.addr()).await.expect("connected");
    let name = "hostile.test".try_into().expect("a name");
    let error = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let error = error.expect_err("not trusted").to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    assert_eq!(server.connections(), 1);
}
