"""Storage interop: Prometheus's own tsdb package and ours execute the same scripts, on directories of their own and of
each other, and must print the same text byte for byte.

Environment: PEER_TSDB (built from ./peer) and OUR_TSDB (storage/examples/interop) are paths of binaries. Run through
./run, or one test by hand: `storage.py Storage.test_relay`; KEEP=1 keeps the directories.
"""

import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from storage_script import run
from story import FLAVOURS, LOOK, Flavour, Story, look_closed

THEIRS = os.environ["PEER_TSDB"]
OURS = os.environ["OUR_TSDB"]

HISTOGRAM = re.compile(r"^(\{.*\} -?\d+ -?\d+ )([if]) \d (.*) \[(.*)\]\[(.*)\] \[(.*)\]\[(.*)\] (\[.*\])$")


def plain(lines):
    """The samples of a dump, histograms without what a restart may change: the hint about counter resets and buckets
    that nothing fell into."""
    found = []
    for line in lines:
        # Labels and exemplars end with a brace, names with their values do not begin with one.
        if not line.startswith("{") or line.endswith("}"):
            continue
        match = HISTOGRAM.match(line)
        if match:
            at, kind, head, *sides, custom = match.groups()
            line = (at, kind, head, used(kind, *sides[:2]), used(kind, *sides[2:]), custom)
        found.append(line)
    return found


# What the directories must have between them.
ALL_KINDS = {f"record {name}" for name in (
    "series", "samples", "tombstones", "exemplars", "mmapmarkers", "metadata", "histogram_samples",
    "float_histogram_samples", "custom_buckets_histogram_samples", "custom_buckets_float_histogram_samples",
    "samples_v2", "histogram_samples_v2", "float_histogram_samples_v2",
)} | {f"encoding {n}" for n in range(1, 7)} | {f"level {n}" for n in range(1, 4)} | {"out of order", "tombstone"}


def kinds(lines):
    """The kinds of things that a closed directory has."""
    for line in lines:
        words = line.split()
        match words[0]:
            case "record":
                yield line
            case "chunk":
                yield f"encoding {words[4]}"
            case "block":
                yield f"level {words[4]}"
                if "[from-out-of-order]" in words:
                    yield "out of order"
            case "tombstone":
                yield "tombstone"


def used(kind, spans, buckets):
    """Index and count of the buckets that are not empty."""
    found, at, total = [], 0, 0
    buckets = iter(buckets.split())
    for span in spans.split():
        offset, length = map(int, span.split(":"))
        at += offset
        for at in range(at, at + length):
            bucket = next(buckets)
            total = total + int(bucket) if kind == "i" else bucket
            if total not in (0, "0"):
                found.append((at, total))
        at += 1
    return tuple(found)


class Storage(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="epimetheus-storage-")

        self.kinds = set()

    def tearDown(self):
        if os.environ.get("KEEP"):
            print("kept", self.directory)
        else:
            shutil.rmtree(self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def copy(self, directory):
        to = tempfile.mkdtemp(dir=self.directory)
        # symlinks: Prometheus's lock file is a link to nowhere.
        shutil.copytree(directory, to, dirs_exist_ok=True, symlinks=True)
        return to

    def assert_same(self, ours, theirs, what):
        if ours == theirs:
            return
        both = enumerate(zip(ours, theirs))
        at = next((i for i, (a, b) in both if a != b), min(len(ours), len(theirs)))
        around = range(max(at - 2, 0), at + 4)
        shown = "\n".join(
            f"{i} {name} {str(lines[i])[:300]}"
            for name, lines in (("ours  ", ours), ("theirs", theirs)) for i in around if i < len(lines)
        )
        self.fail(f"{what}: {len(ours)} lines of ours, {len(theirs)} of theirs\n{shown}")

    def both_read(self, directory, flavour, what):
        """Both sides read copies of a directory; they must see the same. Returns the samples."""
        closed = run(OURS, look_closed(directory))
        self.assert_same(closed, run(THEIRS, look_closed(directory)), f"{what}, closed")
        self.kinds.update(kinds(closed))
        opened, closed = {**flavour.open, "dir": ""}, {"op": "close"}
        seen, maintained = [], []
        for binary in (OURS, THEIRS):
            opened["dir"] = self.copy(directory)
            seen.append(run(binary, [opened, *LOOK, closed]))
            maintained.append(run(binary, [opened, {"op": "maintain"}, *LOOK, closed]))
        self.assert_same(*seen, f"{what}, opened")
        # Late samples go to blocks in chunks of other bounds.
        self.assert_same(*map(plain, maintained), f"{what}, opened again and maintained")
        return seen[0]

    def test_same_script(self):
        for flavour in FLAVOURS:
            with self.subTest(flavour=flavour.name):
                printed = []
                for name, binary in (("ours", OURS), ("theirs", THEIRS)):
                    story = Story(1, flavour)
                    directory = self.path(f"{flavour.name}-{name}")
                    opened = {**flavour.open, "dir": directory}
                    steps = [opened, *story.ingest(53), *LOOK, *story.delete(), *story.ingest(97), *story.delete(), *LOOK]
                    steps += [{"op": "close"}, opened, *LOOK, {"op": "clean"}, *story.ingest(45), *LOOK, *story.delete(), LOOK[0]]
                    printed.append(run(binary, [*steps, {"op": "close"}]))
                self.assert_same(printed[0], printed[1], "same script")
                for name in ("ours", "theirs"):
                    samples = self.both_read(self.path(f"{flavour.name}-{name}"), flavour, f"directory {name}")
                    self.assertGreater(len(samples), 10_000)
        self.assertEqual(ALL_KINDS - self.kinds, set(), "not in any directory")

    def test_stale_series(self):
        """Series that have ended leave the head early, into blocks of their own; some of them come back. Without
        exemplars: what a restart of Prometheus keeps of those of such series depends on how its threads take turns."""
        for flavour in FLAVOURS:
            flavour = Flavour(flavour.name, **{k: v for k, v in flavour.open.items() if k not in ("op", "exemplars")})
            with self.subTest(flavour=flavour.name):
                printed = []
                for name, binary in (("ours", OURS), ("theirs", THEIRS)):
                    story, directory = Story(1, flavour), self.path(f"stale-{flavour.name}-{name}")
                    opened = {**flavour.open, "dir": directory}
                    steps = [opened, *story.ingest(53), *story.stale(), *LOOK, *story.ingest(9), *LOOK, *story.stale(), *LOOK]
                    steps += [{"op": "close"}, opened, *LOOK, *story.ingest(33), *story.stale(), *LOOK, {"op": "kill"}]
                    printed.append(run(binary, steps, may_die=True))
                self.assert_same(printed[0], printed[1], "same script")
                for name in ("ours", "theirs"):
                    directory = self.path(f"stale-{flavour.name}-{name}")
                    closed = run(OURS, look_closed(directory))
                    self.assertTrue(any("from-stale-series" in line for line in closed if line.startswith("block ")))
                    samples = self.both_read(directory, flavour, f"directory {name}")
                    self.assertGreater(len(samples), 5_000)

    def test_relay(self):
        """One directory goes Prometheus, us, Prometheus, us, each adding to it."""
        for flavour in FLAVOURS:
            with self.subTest(flavour=flavour.name):
                story, directory = Story(2, flavour), self.path(f"relay-{flavour.name}")
                opened, before = {**flavour.open, "dir": directory}, []
                alone = [{**opened, "dir": self.path(f"alone-{flavour.name}")}]
                for turn, binary in enumerate((THEIRS, OURS, THEIRS, OURS)):
                    steps = [*story.ingest(49), *(story.delete() if turn else [])]
                    alone += [*steps, {"op": "close"}, alone[0]]
                    ended = [{"op": "close"}] if turn % 2 else [{"op": "kill"}]
                    printed = run(binary, [opened, *LOOK, *steps, *LOOK, *ended], may_die=True)
                    found = plain(printed)
                    self.assert_same(before, found[:len(before)], f"turn {turn}: what the other left")
                    before = plain(self.both_read(directory, flavour, f"turn {turn}"))
                    self.assert_same(before, found[len(found) - len(before):], f"turn {turn}: what stays")
                whole = run(THEIRS, [*alone, *LOOK, {"op": "close"}])
                self.assert_same(before, plain(whole), "relayed or not")

    def test_killed_at_any_time(self):
        """Killed from outside at a random moment: what was acknowledged is there, for both."""
        for seed in range(6):
            flavour = FLAVOURS[seed % len(FLAVOURS)]
            for name, binary in (("ours", OURS), ("theirs", THEIRS)):
                with self.subTest(flavour=flavour.name, seed=seed, writer=name):
                    directory = self.path(f"killed-{name}-{seed}")
                    steps = [{**flavour.open, "dir": directory}, *Story(3 + seed, flavour).ingest(120)]
                    acknowledged = self.killed(binary, steps, random.Random(seed))
                    seen = self.both_read(directory, flavour, f"{acknowledged} steps acknowledged")
                    found = set(plain(seen))
                    least, most = self.possible(flavour, steps, acknowledged)
                    self.assertEqual(least - found, set(), f"lost, killed after step {acknowledged}")
                    self.assertEqual(found - most, set(), f"never written, killed after step {acknowledged}")

    def killed(self, binary, steps, rng):
        """Runs a script, kills it after some answer; returns how many of its steps were surely done."""
        commits = sum(s["op"] == "commit" for s in steps)
        wanted = rng.randrange(commits // 4, commits)
        process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        script = "".join(json.dumps(s) + "\n" for s in steps).encode()
        # Never closed by this thread, so that the end of the script is not what ends the process.
        writer = threading.Thread(target=_write, args=(process.stdin, script))
        writer.start()
        acknowledged = 0
        for line in process.stdout:
            number, what = line.split(b" ", 1)
            if what == b"commit\n":
                acknowledged, wanted = int(number), wanted - 1
            if wanted == 0:
                time.sleep(rng.random() * 0.01)
                process.kill()
                break
        for line in process.stdout:
            number, what = line.split(b" ", 1)
            if what == b"commit\n":
                acknowledged = int(number)
        process.wait()
        writer.join()
        process.stdin.close()
        process.stdout.close()
        return acknowledged

    def possible(self, flavour, steps, acknowledged):
        """What must be there: all that was acknowledged. And what may be: any part of the commit that was under way, as
        Prometheus logs its late samples last."""
        opened = {**flavour.open, "dir": tempfile.mkdtemp(dir=self.directory)}
        rest = steps[acknowledged:]
        behind = next((i + 1 for i, s in enumerate(rest) if s["op"] == "commit"), len(rest))
        end = [*LOOK, {"op": "close"}]
        for steps in (steps[1:acknowledged], steps[1:acknowledged] + rest[:behind]):
            opened["dir"] = tempfile.mkdtemp(dir=self.directory)
            yield set(plain(run(THEIRS, [opened, *steps, *end])))


def _write(stream, script):
    try:
        stream.write(script)
        stream.flush()
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
