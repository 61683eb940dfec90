"""Answers of the real Prometheus 3.14 to 436 requests over each golden data directory, asked again of ours."""

import json
import lzma
import os

from answers import ask, normal, same


def compare(url, folder):
    """Returns how many answers were equal, how many there are, and what differed."""
    equal, total, different = 0, 0, []
    with lzma.open(os.path.join(folder, "queries.jsonl.xz"), "rt") as lines:
        for line in lines:
            golden = json.loads(line)
            path, params = golden["path"], golden["params"]
            query = params.get("query", "")
            status, body = ask(url, path, params)
            total += 1
            if status == golden["status"] and same(
                normal(body, query, path), normal(golden["body"], query, path)
            ):
                equal += 1
            else:
                different.append((path, params, golden["body"], body))
    return equal, total, different
