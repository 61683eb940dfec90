//! Tests of fetching: targets that behave, and targets that do not, over a real port.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::Clients;
use super::fetch::{Fetched, Fetcher};
use super::target::{Outcome, resolve};
use crate::config::ScrapeConfig;
use model::Labels;

/// How a target answers once it has read a request.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends this text and closes.
    Answer(&'static str),
    /// Says nothing.
    Hang,
    /// Sends a body without end.
    Stream,
}

async fn serve(
    mut socket: TcpStream,
    behaviour: Behaviour,
    requests: std::sync::mpsc::Sender<String>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    let _ = requests.send(String::from_utf8_lossy(&request).to_ascii_lowercase());
    match behaviour {
        Behaviour::Answer(text) => {
            let _ = socket.write_all(text.as_bytes()).await;
        }
        Behaviour::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        Behaviour::Stream => {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while socket.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
    }
}

/// Fetches once from a target of this behaviour; also gives the request it saw.
async fn fetch(behaviour: Behaviour, limit: usize) -> (Result<Fetched, String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, requests) = std::sync::mpsc::channel();
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, behaviour, sender.clone()));
        }
    });
    let mut config = ScrapeConfig::preset();
    config.job_name = "j".to_owned();
    config.scrape_interval.0 = 60_000;
    config.scrape_timeout.0 = 300;
    config.scrape_protocols = Some(crate::config::ScrapeProtocol::defaults(false));
    config.metric_name_escaping_scheme = "allow-utf-8".to_owned();
    let labels = Labels::from_pairs([("__address__", address.as_str())]);
    let Ok(Outcome::Active(target)) = resolve(&config, &labels, &Labels::empty()) else {
        panic!("no target")
    };
    let fetched = Fetcher::new(&config, &Clients::default()).unwrap().fetch(&target, limit).await;
    server.abort();
    let fetched = fetched.map_err(|e| e.replace(&address, "ADDRESS"));
    (fetched, requests.try_recv().unwrap_or_default())
}

#[tokio::test]
async fn a_good_target() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nup 1";
    let (fetched, request) = fetch(Behaviour::Answer(answer), 100).await;
    let expected = Fetched {
        body: b"up 1".to_vec(),
        gzip: true,
        content_type: "text/plain; version=0.0.4".to_owned(),
    };
    assert_eq!(fetched, Ok(expected));
    for line in [
        "get /metrics http/1.1\r\n",
        "\r\naccept: text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
        "\r\naccept-encoding: gzip\r\n",
        "\r\nuser-agent: prometheus/3.14.0\r\n",
        "\r\nx-prometheus-scrape-timeout-seconds: 0.3\r\n",
    ] {
        assert!(request.contains(line), "{line:?} not in {request}");
    }
}

#[tokio::test]
async fn bad_targets_in_prometheus_words() {
    for (behaviour, error) in [
        (
            Behaviour::Answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            "server returned HTTP status 404 Not Found",
        ),
        (
            Behaviour::Answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nup 1\n"),
            "unexpected EOF",
        ),
        (Behaviour::Answer(""), "Get \"http://ADDRESS/metrics\": EOF"),
        (Behaviour::Hang, "Get \"http://ADDRESS/metrics\": context deadline exceeded"),
        (Behaviour::Stream, "body size limit exceeded"),
    ] {
        assert_eq!(fetch(behaviour, 1 << 16).await.0, Err(error.to_owned()));
    }
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut config = ScrapeConfig::preset();
    config.scrape_interval.0 = 1_000;
    config.scrape_timeout.0 = 1_000;
    let labels = Labels::from_pairs([("__address__", address.as_str())]);
    let Ok(Outcome::Active(target)) = resolve(&config, &labels, &Labels::empty()) else {
        panic!("no target")
    };
    let error =
        Fetcher::new(&config, &Clients::default()).unwrap().fetch(&target, 100).await.unwrap_err();
    let expected = format!(
        "Get \"http://{address}/metrics\": dial tcp {address}: connect: connection refused"
    );
    assert_eq!(error, expected);
}
