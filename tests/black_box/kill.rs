//! Killed in the middle of remote writing, again and again: whatever was acknowledged is there.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::http::request;
use crate::server::Server;
use crate::write::{HEADERS, body, now_ms, receiver, series};

const ROUNDS: u64 = 10;
const SERIES: usize = 20;

#[test]
fn acknowledged_samples_survive_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let start = now_ms() - 600_000;
    // Step of the newest acknowledged request; sample `i` of every series has time and value `i`.
    let acknowledged = AtomicI64::new(-1);
    for round in 0..ROUNDS {
        let server = receiver(dir.path());
        check(&server, start, acknowledged.load(Ordering::SeqCst));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| send(&server, start, &acknowledged, &stop));
            std::thread::sleep(Duration::from_millis(40 + 23 * round));
            server.signal("KILL");
            stop.store(true, Ordering::SeqCst);
        });
        server.kill();
    }
    let server = receiver(dir.path());
    let last = acknowledged.load(Ordering::SeqCst);
    assert!(last > i64::try_from(ROUNDS).unwrap(), "only {last} requests were acknowledged");
    check(&server, start, last);
    assert!(
        !server.logged("corrupt") || server.logged("msg=\"WAL read error, attempting repair\"")
    );
    server.stop();
}

fn send(server: &Server, start: i64, acknowledged: &AtomicI64, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        // A step that was stored but not acknowledged before the kill is sent again, unchanged.
        let step = acknowledged.load(Ordering::SeqCst) + 1;
        let all: Vec<Vec<u8>> = (0..SERIES)
            .map(|i| {
                let i = i.to_string();
                series(&[("__name__", "kill"), ("i", &i)], &[(start + step, step as f64)])
            })
            .collect();
        match request(server.address, "POST", "/api/v1/write", &HEADERS, &body(&all)) {
            Some(answer) if answer.status == 204 => acknowledged.store(step, Ordering::SeqCst),
            Some(answer) => panic!("{}: {}", answer.status, answer.text()),
            None => return,
        }
    }
}

/// Every series holds the steps `0..=last` and at most one more.
fn check(server: &Server, start: i64, last: i64) {
    if last < 0 {
        return;
    }
    let query = format!("/api/v1/query?query=kill[2h]&time={}", (start + 1_200_000) / 1000);
    let found = server.get(&query).json();
    let result = found["data"]["result"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert_eq!(result.len(), SERIES);
    for series in result {
        let values = series["values"].as_array().unwrap();
        let count = i64::try_from(values.len()).unwrap();
        assert!(count == last + 1 || count == last + 2, "{count} samples, {last} acknowledged");
        for (i, pair) in values.iter().enumerate() {
            let t = pair[0].as_f64().unwrap();
            assert_eq!((t * 1000.0).round() as i64, start + i as i64);
            assert_eq!(pair[1], i.to_string());
        }
    }
}
