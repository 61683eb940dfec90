"""Thousands of generated queries, asked of ours and of the real Prometheus over one data directory.

Environment: EPIMETHEUS, PEER_PROMETHEUS. Options: see --help. Prints every difference, how often each
function, operator and modifier had an answer, and ends with `N equal, N unstable, N different`. Fails on
any difference and on any feature without an answer.
"""

import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

import dataset  # noqa: E402
from answers import normal, same  # noqa: E402
from grammar import Features, Grammar  # noqa: E402
from server import Server  # noqa: E402

NO_SCRAPES = "global: {scrape_interval: 1h}\n"
HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class Client(threading.local):
    """One connection a thread to one server."""

    def __init__(self, server):
        self.address = ("127.0.0.1", server.port)
        self.connection = None

    def ask(self, path, params):
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(*self.address, timeout=120)
                self.connection.request("POST", path, urllib.parse.urlencode(params), HEADERS)
                answer = self.connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


class Case:
    """One request: a query, instant or range, at a place in the data."""

    def __init__(self, grammar, rng):
        self.query, self.features, self.spoiled = grammar.query()
        moment = dataset.START + rng.randrange(0, dataset.END - dataset.START + 600)
        self.params = {"query": self.query}
        if rng.random() < 0.7:
            # Without, samples that have no part in the answer may stay unread.
            self.params["stats"] = "all"
        if rng.random() < 0.45:
            self.path = "/api/v1/query"
            self.params["time"] = rng.choice((moment, moment - moment % 15, moment + 0.123))
        else:
            self.path = "/api/v1/query_range"
            step = rng.choice((15, 30, 60, 60, 37, 300, 0.5 * 60 + 0.25))
            self.params["start"] = moment - moment % 15 if rng.random() < 0.5 else moment
            self.params["end"] = self.params["start"] + rng.choice((0, 1, 7, 20, 45)) * step
            self.params["step"] = step
        if rng.random() < 0.03:
            self.params["limit"] = rng.choice((1, 2, 5))
        if rng.random() < 0.05:
            self.params["lookback_delta"] = rng.choice(("15s", "1m", "20m"))


def prepared(answer, case):
    """What is compared of an answer: all of it but times taken and what each engine holds."""
    status, body = answer
    body = normal(body, case.query, case.path)
    if "limit" in case.params and isinstance(body.get("data"), dict):
        # Which of an unordered result stay is not defined.
        if case.path == "/api/v1/query":
            body["data"] = {**body["data"], "result": len(body["data"]["result"])}
    if isinstance(body.get("data"), dict) and "stats" in body["data"]:
        samples = dict(body["data"]["stats"].get("samples", {}))
        samples.pop("peakSamples", None)
        body["data"] = {**body["data"], "stats": samples}
    return status, body


def equal(a, b):
    return a[0] == b[0] and same(a[1], b[1])


def has_answer(body):
    result = body.get("data", {}).get("result") if body.get("status") == "success" else None
    return bool(result)


def judge(case, ours, theirs):
    """("equal" | "unstable" | "different", whether there was something in the answer, ours, theirs)."""
    a, b = prepared(ours.ask(case.path, case.params), case), prepared(theirs.ask(case.path, case.params), case)
    found = has_answer(b[1])
    if equal(a, b):
        return "equal", found, None, None
    for _ in range(8):
        again = prepared(theirs.ask(case.path, case.params), case)
        if equal(again, a):
            return "unstable", found, None, None
        if not equal(again, b):
            return "unstable", found, None, None
    return "different", found, a, b


def make_data(directory, peer):
    """Lets the real server write the data set, so that the authority's files are what both read."""
    writer = Server(peer, directory, NO_SCRAPES, "--web.enable-remote-write-receiver")
    writer.wait_ready()
    count = dataset.write(writer.url)
    assert writer.stop() == 0
    return count


def first_difference(a, b, path=""):
    """Where two answers part, as a path into the JSON with both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if not same(a.get(key), b.get(key)):
                return first_difference(a.get(key), b.get(key), f"{path}.{key}")
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for at, (x, y) in enumerate(zip(a, b)):
            if not same(x, y):
                return first_difference(x, y, f"{path}[{at}]")
    return f"{path}\n    ours   {json.dumps(a)[:600]}\n    theirs {json.dumps(b)[:600]}"


def difference(case, ours, theirs):
    where = " ".join(f"{k}={v}" for k, v in case.params.items() if k != "query")
    return f"DIFFERENT {case.path} {where}\n    {case.query}\n    at {first_difference(ours, theirs)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--features", default="", help="values for --enable-feature, with commas")
    parser.add_argument("--data", help="keep the written data here and use it again")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--show", type=int, default=20, help="how many differences are printed")
    args = parser.parse_args()

    ours_binary, peer = os.environ["EPIMETHEUS"], os.environ["PEER_PROMETHEUS"]
    features = Features(args.features.split(",") if args.features else ())
    flags = [f"--enable-feature={args.features}"] if args.features else []
    work = tempfile.mkdtemp(prefix="epimetheus-differential-")
    servers = []
    try:
        data = args.data or os.path.join(work, "data-set")
        if not os.path.isdir(os.path.join(data, "data")):
            os.makedirs(data, exist_ok=True)
            print(f"{make_data(data, peer)} samples written", flush=True)
        for name, binary in (("ours", ours_binary), ("theirs", peer)):
            directory = os.path.join(work, name)
            shutil.copytree(os.path.join(data, "data"), os.path.join(directory, "data"))
            servers.append(Server(binary, directory, NO_SCRAPES, *flags).wait_ready())
        ours, theirs = (Client(server) for server in servers)
        grammar, rng = Grammar(args.seed, features), random.Random(-args.seed)
        verdicts, answered, asked = collections.Counter(), collections.Counter(), collections.Counter()
        with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
            remaining = args.queries
            while remaining > 0:
                cases = [Case(grammar, rng) for _ in range(min(500, remaining))]
                remaining -= len(cases)
                for case, (verdict, found, a, b) in zip(cases, pool.map(lambda c: judge(c, ours, theirs), cases)):
                    verdicts[verdict] += 1
                    asked.update(case.features)
                    answered.update(case.features if found else ())
                    verdicts["with an answer"] += found
                    verdicts["spoiled"] += case.spoiled
                    if verdict == "different" and verdicts["different"] <= args.show:
                        print(difference(case, a, b), flush=True)
        for name in sorted(asked):
            print(f"{name:32} {answered[name]:6} answered of {asked[name]}")
        missing = sorted(n for n in features.expected() if not answered[n])
        if missing:
            print("WITHOUT AN ANSWER: " + ", ".join(missing))
        print(
            f"seed {args.seed}, features {features.names or 'default'}: {verdicts['with an answer']} with an answer, "
            f"{verdicts['spoiled']} spoiled; "
            f"{verdicts['equal']} equal, {verdicts['unstable']} unstable, {verdicts['different']} different"
        )
        return 1 if missing or verdicts["different"] else 0
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
            server.log.close()
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
