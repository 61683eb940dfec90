"""Runs a program that executes scripts of storage steps."""

import json
import subprocess

LIMIT_SECONDS = 300


def run(binary, steps, may_die=False):
    """Executes a script; returns what it printed."""
    script = "".join(json.dumps(s) + "\n" for s in steps)
    done = subprocess.run([binary], input=script.encode(), capture_output=True, timeout=LIMIT_SECONDS)
    if done.returncode not in ((0, -9) if may_die else (0,)):
        raise AssertionError(f"{binary}: exit {done.returncode}\n{done.stderr.decode()[-2000:]}")
    return done.stdout.decode().splitlines()
