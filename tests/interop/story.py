"""Stories: scripts of storage steps, the same every time for a seed. The language is described in peer/main.go.

A story is about some fifty series of every kind over a few hours of data: floats tidy, jittered, odd and stale;
native histograms integer and float, with exponential and custom buckets, counters and gauges, growing, changing
their layout and starting anew; series that come and go, and one that changes its type.
"""

import os
import random
import struct

MINUTE = 60_000
START = 1_700_000_400_000  # Aligned to ten minutes.
EVERY = 20_000
STALE = "7ff0000000000002"
ODD = [
    "7ff8000000000001", STALE, "7ff0000000000000", "fff0000000000000", "8000000000000000", "0", "1",
    "7fefffffffffffff", "3ff0000000000001",
]
NAMES = ["µnit", "with space", "quoted\"name", "__meta"]


def bits(v):
    return "%x" % struct.unpack(">Q", struct.pack(">d", v))[0]


class Flavour:
    """How a directory is written: what the flags and the configuration would ask for."""

    def __init__(self, name, **options):
        self.name = name
        self.v2 = options.get("start_times", False)
        self.open = {
            "op": "open", "min_block": 10 * MINUTE, "max_block": 90 * MINUTE, "segment_bytes": 64 << 10,
            "wal": "snappy", "window": 0, **options,
        }


FLAVOURS = [
    Flavour("plain"),
    Flavour("late", wal="zstd", window=25 * MINUTE, exemplars=True, metadata=True),
    Flavour("xor2", wal="none", window=15 * MINUTE, xor2=True, start_times=True, histogram_st=True),
    Flavour("short", wal="none", samples_per_chunk=12, segment_bytes=32 << 10, exemplars=True, metadata=True),
]


class Histogram:
    """A native histogram that lives on: integer or float, exponential or custom buckets, counter or gauge."""

    def __init__(self, rng, is_float, custom, gauge):
        self.rng, self.is_float, self.custom, self.gauge = rng, is_float, custom, gauge
        self.reset()

    def reset(self):
        rng = self.rng
        self.schema = -53 if self.custom else rng.choice([-4, 0, 3, 8])
        self.zero_threshold = 0.0 if self.custom else rng.choice([0.0, 2.0**-128, 0.001])
        self.bounds = sorted({round(rng.uniform(0, 50), rng.choice([0, 2, 5])) for _ in range(12)}) if self.custom else []
        self.positive, self.negative = {}, {}
        self.zero, self.sum = 0, 0.0

    def grow(self):
        rng = self.rng
        if rng.random() < 0.02:
            self.reset()
        for _ in range(rng.randrange(4)):
            if self.custom:
                at = rng.randrange(len(self.bounds) + 1)
                self.positive[at] = self.positive.get(at, 0) + rng.randrange(1, 9)
            else:
                side = self.positive if rng.random() < 0.7 else self.negative
                at = rng.choice([-7, -2, 0, 1, 2, 3, 9, 30])
                side[at] = side.get(at, 0) + rng.randrange(1, 9)
        if not self.custom and rng.random() < 0.3:
            self.zero += rng.randrange(3)
        if self.gauge:
            for side in (self.positive, self.negative):
                for at in list(side):
                    if rng.random() < 0.2:
                        side[at] = rng.randrange(4)
        self.sum += rng.uniform(0, 10)

    def value(self):
        spans, buckets = {}, {}
        for key, side in (("p", self.positive), ("n", self.negative)):
            spans[key], buckets[key], end = [], [], None
            for at in sorted(side):
                if end == at:
                    spans[key][-1][1] += 1
                else:
                    spans[key].append([at if end is None else at - end, 1])
                buckets[key].append(side[at])
                end = at + 1
        count = self.zero + sum(self.positive.values()) + sum(self.negative.values())
        h = {
            "hint": 3 if self.gauge else 0, "schema": self.schema, "zt": bits(self.zero_threshold), "sum": bits(self.sum),
            "ps": spans["p"], "ns": spans["n"], "custom": [bits(b) for b in self.bounds],
        }
        if self.is_float:
            half = lambda n: bits(n / 2)
            h |= {"zero": half(self.zero), "count": half(count)}
            h |= {k: [half(n) for n in v] for k, v in buckets.items()}
            return "fh", h
        h |= {"zero": self.zero, "count": count}
        for k, v in buckets.items():
            h[k] = [b - a for a, b in zip([0] + v, v)]
        return "h", h

    def stale(self):
        if self.is_float:
            return "fh", {"schema": 0, "zt": "0", "zero": "0", "count": "0", "sum": STALE}
        return "h", {"schema": 0, "zt": "0", "sum": STALE}


class Story:
    """Writes steps; `now` goes on from one chapter to the next."""

    def __init__(self, seed, flavour):
        self.rng = random.Random(seed)
        self.flavour = flavour
        self.now = START
        self.tick = 0
        self.histograms = {}
        self.counters = {}
        self.made = START

    def series(self):
        """Labels and kind of the series that are alive now."""
        era = (self.now - START) // (40 * MINUTE)
        for i in range(6):
            yield {"__name__": "requests_total", "code": str(200 + i), "job": "api"}, "counter"
        for i in range(5):
            yield {"__name__": "temperature", NAMES[i % 4]: f"v{i}", "é": "ü" * (i + 1)}, "gauge"
        for i in range(3):
            yield {"__name__": "odd_values", "i": str(i)}, "odd"
        yield {"__name__": "constant"}, "constant"
        for i in range(4):
            yield {"__name__": "comes_and_goes", "era": str(era), "i": str(i)}, "counter"
        for is_float in (False, True):
            for custom in (False, True):
                for gauge in (False, True):
                    kind = ("histogram", is_float, custom, gauge)
                    labels = {"__name__": "native", "float": str(is_float), "custom": str(custom), "gauge": str(gauge)}
                    for i in range(2):
                        yield {**labels, "i": str(i)}, kind
        yield {"__name__": "changes_type"}, "mixed"

    def sample(self, labels, kind):
        rng = self.rng
        key = str(labels)
        if kind == "mixed":
            turn = self.tick // 17 % 3
            kind = "gauge" if turn == 0 else ("histogram", turn == 2, False, False)
            key += str(turn)
        if kind == "counter":
            v = self.counters.get(key, 0)
            v = 0 if rng.random() < 0.01 else v + rng.randrange(20)
            self.counters[key] = v
            return {"f": bits(float(v))}
        if kind == "gauge":
            return {"f": bits(round(rng.gauss(20, 5), 3))}
        if kind == "odd":
            return {"f": rng.choice(ODD)}
        if kind == "constant":
            return {"f": bits(42.0)}
        h = self.histograms.get(key)
        if h is None:
            h = self.histograms[key] = Histogram(rng, *kind[1:])
        if rng.random() < 0.02:
            name, value = h.stale()
        else:
            h.grow()
            name, value = h.value()
        return {name: value}

    def add(self, labels, kind, t):
        step = {"op": "add", "l": labels, "t": t, **self.sample(labels, kind)}
        if self.flavour.v2 and self.rng.random() < 0.9:
            if self.rng.random() < 0.01:
                self.made = t - 1
            step["st"] = min(self.made, t - 1) if self.rng.random() < 0.8 else t - EVERY
        return step

    def ingest(self, minutes, maintain=True):
        """Commits of every series each twenty seconds, some of them late, maintenance now and then."""
        rng = self.rng
        end = self.now + minutes * MINUTE
        while self.now < end:
            self.now += EVERY
            self.tick += 1
            yield {"op": "begin", "v2": self.flavour.v2}
            for labels, kind in self.series():
                if rng.random() < 0.03:
                    continue
                jitter = rng.randrange(-7, 8) if kind == "gauge" else 0
                step = self.add(labels, kind, self.now + jitter)
                yield step
                if rng.random() < 0.01:
                    yield step  # Again, bit for bit: nothing happens.
                if rng.random() < 0.01:
                    yield self.add(labels, kind, self.now + jitter)
                if rng.random() < 0.08:
                    yield self.add(labels, kind, self.now - rng.randrange(40 * MINUTE))
            if not self.flavour.v2:
                yield from self.extras()
            yield {"op": "rollback" if rng.random() < 0.03 else "commit"}
            if maintain and self.tick % 30 == 0:
                yield {"op": "maintain"}

    def extras(self):
        rng = self.rng
        for i in range(6):
            of = {"__name__": "requests_total", "code": str(200 + i), "job": "api"}
            if self.flavour.open.get("exemplars") and rng.random() < 0.3:
                trace = {"trace_id": f"{rng.randrange(1 << 64):016x}", "µ": "é"}
                yield {
                    "op": "exemplar", "of": of, "l": trace, "t": self.now - rng.randrange(3000),
                    "f": bits(rng.random()),
                }
            if self.flavour.open.get("metadata") and rng.random() < 0.05:
                kind = rng.choice(["counter", "gauge", "unknown", "stateset", "gaugehistogram"])
                yield {"op": "meta", "of": of, "type": kind, "unit": "bytes", "help": rng.choice(["a \"b\"\n", "c", ""])}

    def stale(self):
        """Half of the series end, and those that have ended leave the head before their time."""
        self.now += EVERY
        yield {"op": "begin", "v2": self.flavour.v2}
        for labels, kind in self.series():
            if self.rng.random() < 0.5:
                step = {"op": "add", "l": labels, "t": self.now}
                h = self.histograms.get(str(labels))
                if kind[0] == "histogram" and h:
                    name, value = h.stale()
                    yield {**step, name: value}
                elif kind in ("counter", "gauge", "odd", "constant"):
                    yield {**step, "f": STALE}
        yield {"op": "commit"}
        yield {"op": "stale"}

    def delete(self):
        """Deletes some hour of some series. Where samples may come late, one that is over: what becomes of late samples
        under a deletion that the head remembers differs (docs/drop-in.md)."""
        rng = self.rng
        late = self.flavour.open["window"] > 0
        end = self.now - (55 * MINUTE if late else 0) - rng.randrange(8 * MINUTE)
        matchers = rng.choice([
            [["__name__", "=", "requests_total"], ["code", "=~", "20[01]"]],
            [["__name__", "=", "native"], ["custom", "=", "True"]],
            [["__name__", "=~", "temp.*|odd_values"]],
        ])
        yield {"op": "delete", "min": end - rng.randrange(50 * MINUTE), "max": end, "m": matchers}


# What both sides print of an open directory.
LOOK = [
    {"op": "dump", "min": START - 10**9, "max": START + 10**9},
    {"op": "exemplars"},
    {"op": "names"},
    {"op": "select", "m": [["code", "!=", ""], ["__name__", "=~", "req.*"]]},
    {"op": "select", "m": [["era", "=", ""], ["float", "!~", "T.*"]]},
    {"op": "select", "m": [["float", "=~", "True|False"], ["gauge", "!=", "True"]]},
    {"op": "select", "m": [["i", "=~", "[0-2]"], ["era", "!~", ""]]},
]


def look_closed(directory):
    """What both sides print of a directory that nobody has open."""
    logs = [name for name in ("wal", "wbl") if os.path.isdir(os.path.join(directory, name))]
    return [*({"op": "records", "dir": directory, "name": name} for name in logs), {"op": "chunks", "dir": directory}]
