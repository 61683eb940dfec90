//! The server as a process: started, watched through its log, signalled, stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::http::{Answer, request};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Lines {
    all: Vec<String>,
    ended: bool,
}

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    log: Arc<(Mutex<Lines>, Condvar)>,
    pub address: SocketAddr,
}

/// A command for the server's binary.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_epimetheus"))
}

/// Runs to the end: exit code, stdout, stderr.
pub fn run_to_end(args: &[&str], dir: &Path) -> (i32, String, String) {
    let out = command().args(args).current_dir(dir).output().unwrap();
    (
        out.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&out.stdout).into_owned(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

impl Server {
    /// Starts in `dir`, which gets the data, with a free port and `args`; waits until it is ready.
    pub fn start(dir: &Path, args: &[&str]) -> Server {
        let server = Server::start_unready(dir, args);
        server.wait_for("Server is ready to receive web requests.");
        server
    }

    /// The same, waiting only until it listens.
    pub fn start_unready(dir: &Path, args: &[&str]) -> Server {
        let mut child = command()
            .args(["--web.listen-address=127.0.0.1:0"])
            .args(args)
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let writer = Arc::clone(&log);
        std::thread::spawn(move || collect(stderr, &writer));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, log, address };
        let line = server.wait_for("msg=\"Listening on\"");
        let text = line.rsplit("address=").next().unwrap();
        server.address = text.split(' ').next().unwrap().parse().unwrap();
        server
    }

    /// Waits for a log line that holds `text`.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_for_nth(text, 1)
    }

    /// Waits for the `n`th such line.
    pub fn wait_for_nth(&self, text: &str, n: usize) -> String {
        let (lines, grown) = &*self.log;
        let mut lines = lines.lock().unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = lines.all.iter().filter(|l| l.contains(text)).nth(n - 1) {
                return line.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!lines.ended && !left.is_zero(), "no {text:?} in:\n{}", lines.all.join("\n"));
            lines = grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Asks again and again until the answer is yes.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < until, "still waiting for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether a log line holds `text`.
    pub fn logged(&self, text: &str) -> bool {
        self.log.0.lock().unwrap().all.iter().any(|l| l.contains(text))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").unwrap()
    }

    pub fn post(&self, path: &str, form: &str) -> Answer {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.request("POST", path, &headers, form.as_bytes()).unwrap()
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        request(self.address, method, path, headers, body)
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "still running");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it in order; it must end well.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait().code(), Some(0));
        self.wait_for("See you next time!");
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn collect(stderr: impl Read, log: &(Mutex<Lines>, Condvar)) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { break };
        log.0.lock().unwrap().all.push(line);
        log.1.notify_all();
    }
    log.0.lock().unwrap().ended = true;
    log.1.notify_all();
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
