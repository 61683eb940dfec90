//! Lifecycle: start, reload, readiness, stop.

use serde_json::json;

use crate::server::Server;

#[test]
fn without_a_configuration_it_scrapes_itself() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--web.external-url=http://x.example/p/"]);
    server.wait_for("using the built-in configuration");
    let yaml = server.get("/p/api/v1/status/config").json();
    assert!(yaml["data"]["yaml"].as_str().unwrap().contains("metrics_path: /p/metrics"));
    // Discovery hands its targets over a moment after the server is ready.
    let expected = json!(["prometheus"]);
    server.wait_until("the built-in job", || {
        server.get("/p/api/v1/scrape_pools").json()["data"]["scrapePools"] == expected
    });
    // Links carry the path of the external URL.
    let root = server.get("/");
    assert_eq!((root.status, root.header("location")), (302, vec!["/p/"]));
    let home = server.get("/p/");
    assert_eq!((home.status, home.header("location")), (302, vec!["/p/query"]));
    assert_eq!(server.get("/query").status, 404);
    server.stop();
    assert!(dir.path().join("data/wal").is_dir());
}

#[test]
fn healthy_ready_and_lifecycle_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let server = Server::start(dir.path(), &[]);
    let page = |path: &str| {
        let answer = server.get(path);
        (answer.status, answer.text())
    };
    assert_eq!(page("/-/healthy"), (200, "Prometheus Server is Healthy.\n".to_owned()));
    assert_eq!(page("/-/ready"), (200, "Prometheus Server is Ready.\n".to_owned()));
    assert_eq!(page("/-/reload"), (405, "Only POST or PUT requests allowed".to_owned()));
    assert_eq!(page("/nope"), (404, "404 page not found\n".to_owned()));
    let refused = server.post("/-/quit", "");
    assert_eq!((refused.status, refused.text().as_str()), (403, "Lifecycle API is not enabled."));
    let head = server.request("HEAD", "/-/ready", &[], b"").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let wrong = server.request("DELETE", "/api/v1/query", &[], b"").unwrap();
    assert_eq!((wrong.status, wrong.header("allow")), (405, vec!["GET, OPTIONS, POST"]));
    let version = server.get("/version").json();
    assert_eq!(version["version"], "3.14.0");
    for path in ["/query", "/targets", "/status", "/flags", "/config", "/tsdb-status"] {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, vec!["text/html; charset=utf-8"])
        );
    }
    server.stop();
}

#[test]
fn reloads_by_signal_and_http() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 11s}\n").unwrap();
    let server = Server::start(dir.path(), &["--web.enable-lifecycle"]);
    let interval = |text: &str| {
        let yaml = server.get("/api/v1/status/config").json();
        assert!(yaml["data"]["yaml"].as_str().unwrap().contains(text), "{yaml}");
    };
    let successful = |value: u8| {
        let line = format!("prometheus_config_last_reload_successful {value}\n");
        assert!(server.get("/metrics").text().contains(&line));
    };
    interval("scrape_interval: 11s");
    successful(1);

    std::fs::write(&config, "global: {scrape_interval: 12s}\n").unwrap();
    server.signal("HUP");
    server.wait_for_nth("Completed loading of configuration file", 2);
    interval("scrape_interval: 12s");

    std::fs::write(&config, "global: {nonsense: 1}\n").unwrap();
    let answer = server.post("/-/reload", "");
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.text(),
        "failed to reload config: couldn't load configuration (--config.file=\"prometheus.yml\"): \
         parsing YAML file prometheus.yml: yaml: unmarshal errors:\n  line 1: field nonsense not \
         found in type config.plain\n"
    );
    successful(0);
    interval("scrape_interval: 12s");
    let notes = server.get("/api/v1/notifications").json();
    assert_eq!(notes["data"][0]["text"], "Configuration reload has failed.");

    std::fs::write(&config, "global: {scrape_interval: 13s}\n").unwrap();
    let answer = server.request("PUT", "/-/reload", &[], b"").unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    interval("scrape_interval: 13s");
    successful(1);
    assert_eq!(server.get("/api/v1/notifications").json()["data"], json!([]));
}

#[test]
fn reloads_by_itself_when_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 11s}\n").unwrap();
    let flags = ["--config.auto-reload", "--config.auto-reload-interval=1s"];
    let server = Server::start(dir.path(), &flags);
    std::fs::write(&config, "global: {scrape_interval: 12s}\n").unwrap();
    server.wait_for("Configuration file change detected, reloading the configuration.");
    server.wait_for_nth("Completed loading of configuration file", 2);
    server.stop();
}

#[test]
fn quits_over_http() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let mut server = Server::start(dir.path(), &["--web.enable-lifecycle", "--log.format=logfmt"]);
    let answer = server.post("/-/quit", "");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "Requesting termination... Goodbye!")
    );
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for("See you next time!");
}

#[test]
fn interrupt_stops_as_well_and_the_lock_goes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let mut server = Server::start(dir.path(), &[]);
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    server.wait_for("signal=interrupt");
    assert!(!dir.path().join("data/lock").exists());
}
