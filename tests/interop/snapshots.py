"""Head snapshots between the two servers: whoever stops, the other opens the directory and answers
the same.

Needs EPIMETHEUS and PEER_PROMETHEUS (binaries) and HARNESS (the load generator of the shared data
folder, built). Run by tests/interop/run.
"""

import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

OURS, PROMETHEUS = os.environ["EPIMETHEUS"], os.environ["PEER_PROMETHEUS"]
HARNESS = os.environ["HARNESS"]
FEATURE = "--enable-feature=memory-snapshot-on-shutdown"
END = int(time.time()) // 60 * 60


class Run:
    """One life of a server over a directory; stopped cleanly at the end."""

    def __init__(self, binary, directory, *flags):
        self.binary, self.directory, self.flags = binary, directory, flags

    def __enter__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = os.path.join(self.directory, "empty.yml")
        with open(config, "w") as f:
            f.write("storage: {tsdb: {out_of_order_time_window: 1h}}\n")
        self.log_path = os.path.join(self.directory, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [self.binary, f"--config.file={config}", f"--storage.tsdb.path={self.directory}/data",
                 f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", *self.flags],
                stdout=log, stderr=log)
        for _ in range(600):
            try:
                if urllib.request.urlopen(self.url + "/-/ready", timeout=5).status == 200:
                    return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.binary} did not start: {self.log()}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def write(self, hours, end):
        subprocess.run([HARNESS, "write", "-url", self.url + "/api/v1/write", "-n", "3", "-series", "200",
                        "-hours", str(hours), "-end", str(end)], check=True, capture_output=True)

    def everything(self):
        query = urllib.parse.urlencode({"query": '{job=~".+"}[2h]', "time": END + 60})
        answer = json.load(urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=60))
        rows = {json.dumps(s["metric"], sort_keys=True): s["values"] for s in answer["data"]["result"]}
        assert rows, answer
        return rows


def left(directory, pattern):
    return [os.path.basename(p) for p in glob.glob(os.path.join(directory, "data", pattern))]


def check(what, condition, detail=""):
    print(("ok    " if condition else "FAILED ") + what, flush=True)
    if not condition:
        print(detail[-4000:])
        sys.exit(1)


def main():
    with tempfile.TemporaryDirectory(prefix="epimetheus-interop-") as directory:
        with Run(OURS, directory) as ours:
            ours.write(0.9, END - 600)
            want = ours.everything()
        check("ours leaves its own snapshot", len(left(directory, "epimetheus_snapshot.*")) == 1)
        with Run(PROMETHEUS, directory) as peer:
            check("Prometheus opens that and answers the same", peer.everything() == want)
            bad = re.search(r"level=(WARN|ERROR).*", peer.log())
            check("without a word about it", bad is None, bad.group(0) if bad else "")
            peer.write(0.05, END - 300)
            want = peer.everything()
        with Run(OURS, directory) as ours:
            check("ours does not use it afterwards", "Head snapshot loaded" not in ours.log())
            check("and answers the same", ours.everything() == want)
            check("it is gone", left(directory, "epimetheus_snapshot.*") == [])
        with Run(OURS, directory) as ours:
            check("a second stop and start uses one", "Head snapshot loaded" in ours.log())
            check("with the same answer", ours.everything() == want)
        with Run(PROMETHEUS, directory, FEATURE) as peer:
            peer.write(0.05, END - 60)
            want = peer.everything()
        check("Prometheus leaves its snapshot", len(left(directory, "chunk_snapshot.*")) == 1)
        with Run(OURS, directory, FEATURE) as ours:
            check("ours uses it", "chunk snapshot loaded" in ours.log(), ours.log())
            check("and answers the same", ours.everything() == want)
            check("it is gone", left(directory, "chunk_snapshot.*") == [])
        check("ours leaves one of Prometheus's form", len(left(directory, "chunk_snapshot.*")) == 1)
        with Run(PROMETHEUS, directory, FEATURE) as peer:
            check("Prometheus uses it", "chunk snapshot loaded" in peer.log(), peer.log())
            check("and answers the same", peer.everything() == want)
            peer.write(0.01, END)
            want = peer.everything()
        with Run(OURS, directory, FEATURE) as ours:
            check("and back again", ours.everything() == want)
            ours.process.kill()
            ours.process.wait()
        with Run(PROMETHEUS, directory, FEATURE) as peer:
            check("Prometheus after our kill", peer.everything() == want)


if __name__ == "__main__":
    main()
