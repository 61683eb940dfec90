"""Storage interop: Prometheus's own tsdb package and ours execute the same scripts, on directories of their own and of
each other, and must print the same text byte for byte.

Environment: PEER_TSDB (built from ./peer) and OUR_TSDB (storage/examples/interop) are paths of binaries. Run through
./run; `storage.py -k NAME` runs one test by hand.
"""

import difflib
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from story import FLAVOURS, LOOK, Story, look_closed

THEIRS = os.environ["PEER_TSDB"]
OURS = os.environ["OUR_TSDB"]
LIMIT_SECONDS = 120


def run(binary, steps, may_die=False):
    """Executes a script; returns what it printed."""
    script = "".join(json.dumps(s) + "\n" for s in steps)
    done = subprocess.run([binary], input=script.encode(), capture_output=True, timeout=LIMIT_SECONDS)
    if done.returncode != (-9 if may_die else 0):
        raise AssertionError(f"{binary}: exit {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return done.stdout.decode().splitlines()


class Storage(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="epimetheus-storage-")

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
        lines = list(difflib.unified_diff(theirs, ours, "prometheus", "epimetheus", lineterm="", n=1)) \
            if max(len(ours), len(theirs)) < 3000 else \
            [f"line {i}\n-{b}\n+{a}" for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
        shown = "\n".join(line[:400] for line in lines[:12])
        self.fail(f"{what}: {len(ours)} lines of ours, {len(theirs)} of theirs\n{shown}")

    def both_read(self, directory, flavour, what):
        """Both sides read copies of a directory; they must see the same. Returns the samples."""
        self.assert_same(run(OURS, look_closed(directory)), run(THEIRS, look_closed(directory)), f"{what}, closed")
        seen = []
        for binary in (OURS, THEIRS):
            opened = {**flavour.open, "dir": self.copy(directory)}
            dump = run(binary, [opened, LOOK[0], {"op": "close"}])
            rest = run(binary, [opened, *LOOK, {"op": "maintain"}, *LOOK, {"op": "close"}])
            seen.append((dump, rest))
        self.assert_same(seen[0][0], seen[1][0], f"{what}, opened")
        self.assert_same(seen[0][1], seen[1][1], f"{what}, opened again, maintained")
        return seen[1][0]

    def test_same_script(self):
        for flavour in FLAVOURS:
            with self.subTest(flavour=flavour.name):
                printed = []
                for name, binary in (("ours", OURS), ("theirs", THEIRS)):
                    story = Story(1, flavour)
                    directory = self.path(f"{flavour.name}-{name}")
                    opened = {**flavour.open, "dir": directory}
                    steps = [opened, *story.ingest(50), *LOOK, *story.delete(), *story.ingest(100), *story.delete(), *LOOK]
                    steps += [{"op": "close"}, opened, *LOOK, {"op": "clean"}, *story.ingest(45), *LOOK, *story.delete(), LOOK[0]]
                    printed.append(run(binary, [*steps, {"op": "close"}]))
                self.assert_same(printed[0], printed[1], "same script")
                for name in ("ours", "theirs"):
                    samples = self.both_read(self.path(f"{flavour.name}-{name}"), flavour, f"directory {name}")
                    self.assertGreater(len(samples), 10_000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
