#!/usr/bin/env python3
"""Seeds for the fuzz targets of storage: small directories of every flavour of tests/interop/story.py, written by ours
and taken apart into corpus/TARGET. Runs `cargo run -p storage --example interop`, or $OUR_TSDB."""

import hashlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "interop"))
sys.dont_write_bytecode = True

from story import FLAVOURS, MINUTE, Story  # noqa: E402
from storage_script import run  # noqa: E402

MOST_BYTES = 16 << 10
MOST_BYTES_OF_A_SNAPSHOT = 64 << 10


def seed(target, data, most=MOST_BYTES):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    if len(data) <= most:
        with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as f:
            f.write(data)


def records(segment):
    """The records of an uncompressed log segment."""
    record = b""
    for page in range(0, len(segment), 32 << 10):
        at, end = page, min(page + (32 << 10), len(segment))
        while at + 7 <= end and segment[at]:
            length = int.from_bytes(segment[at + 1:at + 3], "big")
            record += segment[at + 7:at + 7 + length]
            if segment[at] in (1, 4):
                yield record
                record = b""
            at += 7 + length


def files(directory):
    for path, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(path, name), "rb") as f:
                yield os.path.relpath(os.path.join(path, name), directory).split(os.sep), f.read()


def take_apart(directory, chunks):
    framed = b""
    for path, data in files(directory):
        match path:
            case [_, "index"]:
                seed("index_read", data)
                for version in (b"\x01", b"\x03"):
                    seed("index_read", data[:4] + version + data[5:])
            case [_, "chunks", _]:
                seed("chunkfile", data)
            case [_, "tombstones"]:
                seed("tombstones", data)
            case [_, "meta.json"]:
                seed("meta_json", data)
            case ["chunks_head", _]:
                seed("headchunks", data[:MOST_BYTES].rstrip(b"\0"))
            case [("wal" | "wbl") as log, *_]:
                seed("wal_read", data[:MOST_BYTES])
                found = [r for r in records(data) if len(r) < 2000]
                for record in found:
                    seed("record_decode", record)
                seed("checkpoint", b"".join(len(r).to_bytes(2, "big") + r for r in found[:40])[:MOST_BYTES])
                to = 2 if log == "wbl" else len(path) - 2
                framed += b"".join(bytes([to]) + len(r).to_bytes(2, "big") + r for r in found[:20])
    seed("data_dir", framed[:MOST_BYTES])
    for line in chunks:
        if line.startswith("  chunk "):
            encoding, _, data = line.split()[4:7]
            seed("chunk_decode", bytes([int(encoding)]) + bytes.fromhex(data))


def part(to, data):
    return bytes([to]) + len(data).to_bytes(2, "big") + data


def varints_end(data, at, count):
    """Where so many variable-length integers from `at` on end."""
    for _ in range(count):
        while data[at] & 0x80:
            at += 1
        at += 1
    return at


def take_snapshot_apart(directory, kind):
    """A head snapshot and the chunks it names, as targets/head_snapshot and chunk_snapshot frame them."""
    found, chunks = [], b""
    for path, data in sorted(files(directory)):
        if path[0].startswith(("epimetheus_snapshot.", "chunk_snapshot.")):
            found += records(data)
        elif path[0] == "chunks_head":
            chunks += part(2 if kind == "own" else 1, data.rstrip(b"\0"))
    if kind == "prometheus":
        return seed("chunk_snapshot", b"".join(part(0, r) for r in found) + chunks, MOST_BYTES_OF_A_SNAPSHOT)
    # The target writes the beginning, which names no blocks, and the end, which names no log.
    header = found[0]
    begin = varints_end(header, 2, 2)
    end = varints_end(header, begin, 7)
    framed = part(1, header[begin:end]) + b"".join(part(0, r) for r in found[1:])
    seed("head_snapshot", framed + chunks, MOST_BYTES_OF_A_SNAPSHOT)


def main():
    ours = os.environ.get("OUR_TSDB")
    if not ours:
        subprocess.run(["cargo", "build", "--example", "interop", "-p", "storage"], cwd=os.path.join(HERE, ".."), check=True)
        ours = os.path.join(HERE, "..", os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "examples", "interop")
    for flavour in FLAVOURS:
        for minutes in (2, 6):
            with tempfile.TemporaryDirectory() as directory:
                opened = {**flavour.open, "dir": directory, "min_block": MINUTE, "max_block": 9 * MINUTE, "wal": "none"}
                story = Story(minutes, flavour)
                steps = [opened, *story.ingest(minutes), {"op": "maintain"}, *story.ingest(1), *story.delete()]
                run(ours, [*steps, {"op": "close"}])
                take_apart(directory, run(ours, [{"op": "chunks", "dir": directory}]))
            for kind in ("own", "prometheus"):
                with tempfile.TemporaryDirectory() as directory:
                    opened = {**opened, "dir": directory, "head_snapshot": kind, "samples_per_chunk": 4}
                    story = Story(minutes, flavour)
                    run(ours, [opened, *story.ingest(minutes, maintain=False), *story.delete(), {"op": "close"}])
                    take_snapshot_apart(directory, kind)
    for target in sorted(os.listdir(os.path.join(HERE, "corpus"))):
        print(target, len(os.listdir(os.path.join(HERE, "corpus", target))))


main()
