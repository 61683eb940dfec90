"""Interop tests: a running epimetheus beside other people's clients and servers.

Environment: EPIMETHEUS, PEER_PROMETHEUS, PEER_PROMTOOL are paths of binaries. Everything else (ports,
data directories) is temporary. Run through ./run.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from prometheus_api_client import PrometheusConnect

import golden
from server import Server

EPIMETHEUS = os.environ["EPIMETHEUS"]
PROMETHEUS = os.environ["PEER_PROMETHEUS"]
PROMTOOL = os.environ["PEER_PROMTOOL"]


SCRAPE_ITSELF = """
global:
  scrape_interval: 1s
  external_labels: {site: here}
scrape_configs:
- job_name: self
  static_configs:
  - targets: ['127.0.0.1:PORT']
"""
NO_SCRAPES = "global: {scrape_interval: 1h}\n"

QUERIES = [
    "up",
    'up{job="self"}',
    "scrape_samples_scraped",
    "sum by (job) (scrape_duration_seconds)",
    "count by (__name__) ({job=\"self\"})",
    "process_resident_memory_bytes / 1024 > 0",
]
# Windows are half-open since Prometheus 3.0, and `rate` reaches back to zero in another way: an
# older peer has other answers.
WINDOW_QUERIES = [
    "rate(prometheus_http_requests_total[10s])",
    "sum(increase(prometheus_tsdb_head_samples_appended_total[10s]))",
    "avg_over_time(process_resident_memory_bytes[5s])",
    "max_over_time(up[10s]) - min_over_time(up[10s])",
]


# Answers that are equal, of 436.
GOLDEN_EQUAL = {"killed": 436, "stopped": 436, "xor2": 436}


def major_version(binary):
    """2 of `prometheus, version 2.42.0 (…)`, which old versions print to stderr."""
    asked = subprocess.run(
        [binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return int(re.search(r"version (\d+)\.", asked.stdout).group(1))


def comparable(answer):
    """Results without order, values as floats so that the last digits may differ."""
    result = answer["data"]["result"]
    rows = {}
    for row in result:
        points = row.get("values") or [row["value"]]
        rows[json.dumps(row["metric"], sort_keys=True)] = [(t, float(v)) for t, v in points]
    return rows


class Interop(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="epimetheus-interop-")
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
            server.log.close()
        shutil.rmtree(self.directory)

    def start(self, *args, **kwargs):
        server = Server(*args, **kwargs)
        self.servers.append(server)
        return server

    def assert_same(self, ours, theirs, what):
        self.assertEqual(ours.keys(), theirs.keys(), what)
        for series, points in ours.items():
            other = theirs[series]
            self.assertEqual([t for t, _ in points], [t for t, _ in other], f"{what} {series}")
            for (t, a), (_, b) in zip(points, other):
                same = a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) or (a != a and b != b)
                self.assertTrue(same, f"{what} {series} at {t}: {a} != {b}")

    def test_api_client_reads(self):
        server = self.start(EPIMETHEUS, self.directory, SCRAPE_ITSELF).wait_ready().wait_scraped(5)
        client = PrometheusConnect(url=server.url, disable_ssl=True)
        self.assertTrue(client.check_prometheus_connection())
        self.assertIn("up", client.all_metrics())
        self.assertIn("job", client.get_label_names())
        self.assertEqual(["self"], client.get_label_values("job"))
        up = client.get_current_metric_value("up", label_config={"job": "self"})
        self.assertEqual("1", up[0]["value"][1])
        ranged = client.custom_query_range(
            "up", start_time=_moment(-4), end_time=_moment(0), step="1"
        )
        self.assertGreaterEqual(len(ranged[0]["values"]), 2)
        history = client.get_metric_range_data("up", start_time=_moment(-60), end_time=_moment(0))
        self.assertGreaterEqual(len(history[0]["values"]), 2)
        self.assertEqual("http", client.get_targets()["activeTargets"][0]["scrapeUrl"][:4])
        self.assertEqual(0, server.stop())

    def test_prometheus_opens_our_directory(self):
        ours = self.start(EPIMETHEUS, self.directory, SCRAPE_ITSELF).wait_ready().wait_scraped(12)
        now = int(time.time()) - 1
        queries = QUERIES + (WINDOW_QUERIES if major_version(PROMETHEUS) >= 3 else [])
        asked = [("/api/v1/query", {"query": q, "time": now}) for q in queries]
        asked.append(("/api/v1/query", {"query": '{job="self"}[1h]', "time": now}))
        asked += [
            ("/api/v1/query_range", {"query": q, "start": now - 8, "end": now, "step": 1})
            for q in queries
        ]
        answers = [comparable(ours.get(path, **params)) for path, params in asked]
        empty = [params["query"] for (_, params), answer in zip(asked, answers) if not answer]
        self.assertEqual([], empty, "no data")
        self.assertEqual(0, ours.stop())
        theirs = self.start(PROMETHEUS, self.directory, NO_SCRAPES).wait_ready()
        for (path, params), answer in zip(asked, answers):
            self.assert_same(answer, comparable(theirs.get(path, **params)), f"{path} {params}")
        theirs.stop()
        # And back again, with what they left.
        again = self.start(EPIMETHEUS, self.directory, NO_SCRAPES).wait_ready()
        for (path, params), answer in zip(asked, answers):
            self.assert_same(answer, comparable(again.get(path, **params)), f"{path} {params}")

    def test_one_directory_one_server(self):
        for first, second in [(PROMETHEUS, EPIMETHEUS), (EPIMETHEUS, PROMETHEUS)]:
            holder = self.start(first, self.directory, NO_SCRAPES).wait_ready()
            if not os.path.exists(os.path.join(self.directory, "data", "lock")):
                self.assertEqual(PROMETHEUS, first)
                self.skipTest("this build of Prometheus takes no lock (Debian's does not)")
            intruder = self.start(second, self.directory, NO_SCRAPES)
            self.assertEqual(1, intruder.process.wait(timeout=30), intruder.text())
            self.assertIn("lock DB directory", intruder.text())
            self.assertEqual(0, holder.stop())


    def test_golden_answers(self):
        shared = os.environ.get("EPIMETHEUS_SHARED", "")
        folder = os.path.join(shared, "golden", "prometheus-3.14")
        if not os.path.isdir(folder):
            if os.environ.get("EPIMETHEUS_REQUIRE_SHARED") == "1":
                self.fail(f"shared data is required but {folder} is not there")
            self.skipTest("no shared data")
        for name in ("killed", "stopped", "xor2"):
            directory = os.path.join(self.directory, name)
            os.mkdir(directory)
            shutil.copytree(os.path.join(folder, name, "data"), os.path.join(directory, "data"))
            with open(os.path.join(folder, name, "prometheus.yml")) as f:
                config = f.read()
            server = self.start(
                EPIMETHEUS,
                directory,
                config,
                "--storage.tsdb.retention.time=10y",
                "--enable-feature=exemplar-storage",
            ).wait_ready()
            equal, total, different = golden.compare(server.url, os.path.join(folder, name))
            server.stop()
            print(f"golden {name}: {equal} of {total} answers equal")
            first = "\n".join(f"{d[0]} {d[1]}\n  want {str(d[2])[:600]}\n  got  {str(d[3])[:600]}" for d in different[:5])
            with self.subTest(directory=name):
                self.assertEqual((equal, total), (GOLDEN_EQUAL[name], 436), first)


def _moment(seconds):
    from datetime import datetime, timedelta

    return datetime.now() + timedelta(seconds=seconds)


if __name__ == "__main__":
    unittest.main(verbosity=2)
