"""Start times concluded from counters (`st-synthesis`) and the zeros they become (`created-timestamp-zero-ingestion`):
both servers scrape the same bodies and must store the same samples, seen by promtool.

Environment: EPIMETHEUS, PEER_PROMETHEUS and PEER_PROMTOOL are paths of binaries; the peers must be 3.14 or later.
"""

import concurrent.futures
import http.server
import os
import re
import subprocess
import tempfile
import threading
import time
import unittest

from server import Server

EPIMETHEUS = os.environ["EPIMETHEUS"]
PROMETHEUS = os.environ["PEER_PROMETHEUS"]
PROMTOOL = os.environ["PEER_PROMTOOL"]

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
{storage}
scrape_configs:
- job_name: j
  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: here}}}}]
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: renamed_total, target_label: __name__, replacement: other}}
"""
OUT_OF_ORDER = "storage: {tsdb: {out_of_order_time_window: 10m}}"
FEATURES = [
    ("st-synthesis", ""),
    ("st-synthesis,created-timestamp-zero-ingestion", ""),
    ("st-synthesis,created-timestamp-zero-ingestion", OUT_OF_ORDER),
    ("created-timestamp-zero-ingestion", ""),
    ("st-synthesis,st-storage,xor2-encoding", ""),
]
SCRAPES = 12


def body(i, now_ms):
    """What the target exposes when it is asked for the i-th time."""
    lines = ["# HELP c_total Words.", "# TYPE c_total counter"]
    lines += [f"c_total {[5, 7, 9, 2, 4, 4, 1, 0, 3, 8, 9, 9][i]}", f'c_total{{a="b"}} {100 + i * i}']
    lines += ["# TYPE g gauge", f"g {i}", f"g_total {i}"]
    lines += ["# TYPE om counter", f"om_total {i}", f"om {2 * i}", f"om_other {i}"]
    lines += ["# HELP only_help Words.", f"only_help {i}"]
    lines += ["# TYPE h histogram", f'h_bucket{{le="1"}} {i // 2}', f'h_bucket{{le="+Inf"}} {i}', f"h_sum {i * 0.3}", f"h_count {i}"]
    lines += ["# TYPE s summary", f's{{quantile="0.5"}} {i}', f"s_sum {i * 0.7}", f"s_count {i}"]
    lines += ["# TYPE renamed_total counter", f"renamed_total {i}", "# TYPE odd counter", f"odd {'NaN' if i == 5 else i}"]
    if i not in (3, 4, 8):
        lines += ["# TYPE gone counter", f"gone {10 + i}"]
    if i >= 2:
        lines += ["# TYPE late counter", f"late {i}"]
    # One that is there twice, one with times of its own, one whose times stand still, one that changes its type.
    lines += ["# TYPE twice counter", f"twice {i}", *([f"twice {i + 1}"] if i == 6 else [])]
    lines += ["# TYPE timed counter", f"timed {i} {now_ms - 3000}", "# TYPE still counter", f"still {i} {now_ms - (i % 3 > 1) * 2000}"]
    lines += [f"# TYPE turns {'gauge' if i in (4, 5, 6) else 'counter'}", f"turns {i}"]
    return "\n".join(lines) + "\n"


class Target:
    """Serves the bodies one after another, then fails."""

    def __init__(self):
        target = self
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                i, target.asked = target.asked, target.asked + 1
                if i >= SCRAPES:
                    return self.send_error(503)
                data = body(i, time.time_ns() // 1_000_000).encode()
                self.send_response(503 if i == 9 else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def stored(binary, features, storage, directory):
    """What a server stores: by series the values, each with the scrape that brought it and how many milliseconds its
    time is away from it."""
    target = Target()
    config = CONFIG.format(port=target.port, storage=storage)
    server = Server(binary, directory, config, f"--enable-feature={features}").wait_ready()
    end = time.time() + 60
    while target.asked < SCRAPES + 1 and time.time() < end:
        time.sleep(0.05)
    server.stop()
    target.server.shutdown()
    dump = subprocess.run(
        [PROMTOOL, "tsdb", "dump", os.path.join(directory, "data")], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in dump.splitlines():
        series, value, t = re.fullmatch(r"(\{.*\}) (\S+) (-?\d+)", line).groups()
        found.setdefault(series, []).append((int(t), value))
    scrapes = sorted(t for t, _ in next(v for k, v in found.items() if '"up"' in k))[:SCRAPES]
    placed = {}
    for series, samples in found.items():
        # Durations differ from run to run; the times of these are the target's.
        if "scrape_duration" in series:
            placed[series] = len(samples) > 0
            continue
        if '"timed"' in series or '"still"' in series:
            placed[series] = [(value,) for _, value in samples]
            continue
        for t, value in samples:
            near = min(range(len(scrapes)), key=lambda i: abs(scrapes[i] - t))
            if abs(scrapes[near] - t) < 250:
                placed.setdefault(series, []).append((near, t - scrapes[near], value))
    return placed


def version(binary):
    asked = subprocess.run([binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", asked.stdout).groups()))


class StartTimes(unittest.TestCase):
    maxDiff = None

    def test_same_samples(self):
        if version(PROMETHEUS) < (3, 14):
            self.skipTest(f"a Prometheus before 3.14 does not know them: {version(PROMETHEUS)}")
        with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(10) as pool:
            found = []
            for i, (features, storage) in enumerate(FEATURES):
                for name, binary in (("ours", EPIMETHEUS), ("theirs", PROMETHEUS)):
                    at = os.path.join(directory, f"{name}-{i}")
                    os.mkdir(at)
                    found.append(pool.submit(stored, binary, features, storage, at))
            for (features, storage), ours, theirs in zip(FEATURES, found[::2], found[1::2]):
                with self.subTest(features=features, storage=storage):
                    ours, theirs = ours.result(), theirs.result()
                    self.assertEqual(sorted(ours), sorted(theirs))
                    for series in theirs:
                        self.assertEqual(ours[series], theirs[series], f"{features} {storage} {series}")
                    samples = [v for found in theirs.values() if isinstance(found, list) for *_, v in map(tuple, found)]
                    print(f"{features} {storage}: {len(theirs)} series equal, {samples.count('0')} zeros")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
