use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chancery_testkit::process::{Program, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::environment::{Environment, Files, WITHIN};

/// A web server that gives out the files of a folder, as the one of the machine does.
async fn serve(root: PathBuf, port: u16) -> JoinSet<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .expect("free");
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let path = head
                .split(' ')
                .nth(1)
                .unwrap_or("/")
                .trim_start_matches('/')
                .to_owned();
            let (status, body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream
                .write_all(&[head.as_bytes(), &body].concat())
                .await
                .ok();
        }
    });
    task
}

fn answers(webroot: &Path) -> usize {
    fs::read_dir(webroot.join(".well-known/acme-challenge")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_servers_folder_carries_the_answers_and_is_clean_afterwards() {
    let Some(world) = Environment::start(&[]).await else {
        return;
    };
    world.host(&["a.corp.test", "b.corp.test"]);
    let webroot = world.folder.join("www");
    fs::create_dir(&webroot).expect("made");
    let _server = serve(webroot.clone(), world.http_port).await;
    let webroot_text = webroot.display().to_string();
    let obtain = ["-d", "a.corp.test,b.corp.test", "--webroot", &webroot_text];
    world.succeed("web", &obtain);
    assert_eq!(
        Files::live(&world.folder.join("web"), "a.corp.test")
            .expect("installed")
            .names()
            .len(),
        2
    );
    assert_eq!(answers(&webroot), 0);

    // The folder is remembered for renewals. A killed agent's answers are removed by the next run.
    let names = ["c.corp.test"];
    world.host(&names);
    let mut command = world.program("killed", &["-d", names[0], "--webroot", &webroot_text]);
    command.env("CHANCERY_FAILPOINT", "challenge-presented");
    run(command, WITHIN).expect("ends in time");
    assert_eq!(answers(&webroot), 1);
    world.succeed("killed", &["renew"]);
    assert_eq!(answers(&webroot), 0);
    Files::live(&world.folder.join("killed"), names[0]).expect("installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_takes_the_answers_down_and_the_order_is_gone_on_with() {
    // Long enough that the validation is never over when the signal comes.
    let slow = [("PEBBLE_VA_NOSLEEP", "0"), ("PEBBLE_VA_SLEEPTIME", "3")];
    let Some(world) = Environment::start(&slow).await else {
        return;
    };
    world.host(&["a.corp.test"]);
    let webroot = world.folder.join("www");
    fs::create_dir(&webroot).expect("made");
    let _server = serve(webroot.clone(), world.http_port).await;
    let webroot_text = webroot.display().to_string();
    let obtain = ["-v", "-d", "a.corp.test", "--webroot", &webroot_text];

    let agent = Program::spawn(world.program("stopped", &obtain)).expect("started");
    let answered = |line: &str| line.contains("ReadAuthorization") && !line.contains("after: 0ns");
    agent.wait_for_line(answered, WITHIN).expect("answers");
    assert_eq!(answers(&webroot), 1);
    agent.terminate().expect("signalled");
    let status = agent.wait(WITHIN).expect("ends");
    assert_eq!(status.code(), Some(1));
    agent
        .wait_for_line(|line| line.contains("stopped by a signal"), WITHIN)
        .expect("says why");
    assert_eq!(answers(&webroot), 0);

    // The CA found nothing and the order is dead; the same command again makes a new one.
    let text = world.succeed("stopped", &obtain);
    assert!(text.starts_with("obtained"), "{text}");
}
