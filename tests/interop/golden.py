"""Answers of the real Prometheus 3.14 to 436 requests over each golden data directory, asked again of ours.

Equality: status, error type and text, result type, labels and timestamps exactly; values within 1e-9 relative (NaN and
infinities exactly); the order of an instant vector only where the query sorts; annotations as a set.
"""

import json
import lzma
import math
import os
import re
import urllib.error
import urllib.parse
import urllib.request

ORDERED = re.compile(r"^\s*(sort\w*|topk|bottomk)\b")


def same_number(a, b):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def same(a, b):
    """Deep equality with tolerance in the strings that are sample values."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b:
        try:
            return same_number(a, b)
        except ValueError:
            return False
    return a == b


def normal(body, query):
    body = dict(body)
    for key in ("warnings", "infos"):
        if key in body:
            body[key] = sorted(body[key])
    data = body.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        if data["resultType"] == "matrix" or not ORDERED.match(query):
            rows = sorted(data["result"], key=lambda r: json.dumps(r["metric"], sort_keys=True))
            body["data"] = {**data, "result": rows}
    return body


def ask(url, path, params):
    request = f"{url}{path}?{urllib.parse.urlencode(params, doseq=True)}"
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def compare(url, folder):
    """Returns how many answers were equal, how many there are, and what differed."""
    equal, total, different = 0, 0, []
    with lzma.open(os.path.join(folder, "queries.jsonl.xz"), "rt") as lines:
        for line in lines:
            golden = json.loads(line)
            query = golden["params"].get("query", "")
            status, body = ask(url, golden["path"], golden["params"])
            total += 1
            if status == golden["status"] and same(
                normal(body, query), normal(golden["body"], query)
            ):
                equal += 1
            else:
                different.append((golden["path"], golden["params"], golden["body"], body))
    return equal, total, different
