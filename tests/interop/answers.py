"""When two answers of the query API are equal.

Status, error type and text, result type, labels and timestamps exactly; integers, NaN and infinities
exactly, other values within 1e-9 relative; the order of series in range queries and where the query
sorts at its top (equal values in any order: the real server's sort is not stable), else as a set;
annotations as a set, as long as there are at most ten.
"""

import json
import math
import re
import urllib.error
import urllib.parse
import urllib.request

SORTING = re.compile(r"\s*(sort\w*|topk|bottomk)\b")
# Above this every double is an integer.
EXACT = 2.0**53


def same_number(a, b):
    if a == b:
        return True
    a, b = float(a), float(b)
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or math.isnan(a) and math.isnan(b)
    if a.is_integer() and b.is_integer() and max(abs(a), abs(b)) < EXACT:
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


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


def is_sorted(query):
    """Whether the whole of the query is one call that puts its result in order."""
    start = SORTING.match(query)
    if not start:
        return False
    depth, closed = 0, []
    for at, char in enumerate(query):
        depth += (char == "(") - (char == ")")
        if char == ")" and depth == 0:
            closed.append(at)
    return bool(closed) and not re.search(r"[-+*/%^<>=]|\b(and|or|unless|atan2)\b", query[closed[0]:])


def settle_ties(rows):
    """Rows in the order of an instant query that sorts, runs of equal values ordered by labels."""
    out, run = [], []
    for row in rows:
        if run and row.get("value", [0, None])[1] != run[-1].get("value", [0, None])[1]:
            out += sorted(run, key=label_key)
            run = []
        run.append(row)
    return out + sorted(run, key=label_key)


def label_key(row):
    return json.dumps(row["metric"], sort_keys=True)


def normal(body, query, path):
    """The answer with what has no order in an order."""
    body = dict(body)
    for key in ("warnings", "infos"):
        notes = body.get(key, [])
        if len(notes) > 10 or any("more" in note and "omitted" in note for note in notes):
            body[key] = f"{len(notes)} {key}"
        elif notes:
            body[key] = sorted(notes)
    data = body.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        if not path.endswith("query_range"):
            rows = data["result"]
            rows = settle_ties(rows) if is_sorted(query) else sorted(rows, key=label_key)
            body["data"] = {**data, "result": rows}
    return body


def ask(url, path, params):
    """(status, body) of a GET, whatever the status."""
    request = f"{url}{path}?{urllib.parse.urlencode(params, doseq=True)}"
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)
