"""The data every generated query runs on: four hours at 15 s, from a fixed time on.

Floats with resets, gaps, stale markers, NaN and infinities; classic histograms, some broken; native
histograms of every kind, with schema changes; names and labels in UTF-8; info metrics. All values are
functions of a seeded generator, so two runs write the same bytes.
"""

import math
import random
import struct

from remote_write import Histogram, encode_series, send

START = 1_700_006_400  # a two-hour boundary
STEP = 15
STEPS = 4 * 3600 // STEP
END = START + STEP * (STEPS - 1)
STALE = struct.pack("<Q", 0x7FF0000000000002)
JOBS = ("api", "web")
INSTANCES = ("a:80", "b:80", "c:80")
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Counter:
    """Grows; starts again from nothing every now and then."""

    def __init__(self, rng, speed, reset=0.004):
        self.rng, self.speed, self.reset, self.value = rng, speed, reset, 0.0

    def next(self):
        if self.rng.random() < self.reset:
            self.value = 0.0
        self.value += self.rng.choice((0, 0, 1, 1, 2, 5, 13)) * self.speed
        return self.value


class Native:
    """A native histogram over time: buckets fill, resets empty them, schemas change."""

    def __init__(self, rng, schema, is_float=False, gauge=False, negative=False, bounds=()):
        self.rng, self.schema, self.is_float, self.gauge = rng, schema, is_float, gauge
        self.with_negative, self.bounds = negative, bounds
        self.clear()

    def clear(self):
        self.positive, self.negative, self.zero, self.total = {}, {}, 0, 0.0

    def next(self, step):
        if self.gauge or self.rng.random() < 0.006:
            self.clear()
        if not self.bounds and step in (200, 500):
            self.schema += self.rng.choice((-1, 1))
            self.clear()
        for _ in range(self.rng.randrange(0, 6)):
            highest = len(self.bounds) + 1 if self.bounds else 12
            index = self.rng.randrange(0 if self.bounds else -6, highest)
            self.positive[index] = self.positive.get(index, 0) + 1
            self.total += self.rng.random() * 3
            if self.with_negative and self.rng.random() < 0.5:
                self.negative[index] = self.negative.get(index, 0) + 2
                self.total -= 1.5
            if not self.bounds and self.rng.random() < 0.4:
                self.zero += 1
        scale = 0.5 if self.is_float else 1
        return Histogram(
            self.schema,
            {i: n * scale for i, n in self.positive.items()},
            {i: n * scale for i, n in self.negative.items()},
            zero=self.zero * scale,
            zero_threshold=0.0 if self.bounds else 0.001,
            total=self.total,
            bounds=self.bounds,
            is_float=self.is_float,
            hint=3 if self.gauge else 0,
        )


def sources(rng):
    """(labels, function of the step number → value, Histogram, STALE or None) for every series."""
    out = []

    def add(name, at, **labels):
        out.append(({"__name__": name, **{k.replace("__", "."): v for k, v in labels.items()}}, at))

    def counting(speed, reset=0.004):
        counter = Counter(rng, speed, reset)
        return lambda step: counter.next()

    def walking(low, high):
        state = [rng.uniform(low, high)]

        def at(step):
            state[0] = min(high, max(low, state[0] + rng.uniform(-1, 1) * (high - low) / 20))
            return round(state[0], 3)

        return at

    def native(**kind):
        histogram = Native(rng, **kind)
        return lambda step: histogram.next(step)

    for job in JOBS:
        for instance in INSTANCES:
            target = {"job": job, "instance": instance}
            for handler in ("/", "/api"):
                for code in ("200", "404", "500"):
                    add("http_requests_total", counting(1 + int(code) % 7), handler=handler, code=code, **target)
            add("temperature", broken(walking(-20, 40), rng), **target)
            add("free_bytes", walking(0, 1e9), **target)
            add("up", lambda step, rng=rng: float(rng.random() > 0.02), **target)
            add("target_info", versions(rng), version="v" + instance[0], region="eu", **target)
        for instance in INSTANCES[:2]:
            target = {"job": job, "instance": instance}
            classic(add, rng, "latency_seconds", target)
            add("native_seconds", native(schema=3), **target)
            add("native_float", native(schema=1, is_float=True, negative=True), **target)
            add("native_gauge", native(schema=0, gauge=True, negative=True), **target)
            add("native_custom", native(schema=-53, bounds=BOUNDS), **target)
        add("limits", walking(1, 100), job=job)
        add("build_info", lambda step: 1.0, job=job, version="1.2", revision="x" + job)
    add("native_custom", native(schema=-53, bounds=(0.1, 0.5, 3.0)), job="web", instance="c:80")
    add("native_custom_gauge", native(schema=-53, bounds=BOUNDS, gauge=True), job="web")
    mixed = Native(rng, 2)
    add("mixed", lambda step: mixed.next(step) if step // 7 % 2 else float(step), kind="both")
    add("mixed", lambda step: float(step), kind="float")
    add("mixed", native(schema=2), kind="histogram")
    for text in ("NaN", "+Inf", "-Inf", "0", "-0", "1e308", "-1e308", "5e-324", "1", "-1.5", "0.1", "3"):
        add("edge", lambda step, v=float(text): v, value=text)
    for step_length in (2, 5, 19, 41):
        add("gappy", lambda step, n=step_length: float(step) if step % n == 0 else None, every=str(step_length))
        add("gappy_total", gaps(rng, step_length), every=str(step_length))
    for which, value in (("y2k", 951782400), ("old", -86400.5), ("leap", 1709164799), ("now", START)):
        add("epoch", lambda step, v=value: v + step * 3600.0, which=which)
    for le in ("0.1", "0.5", "1", "oops"):
        add("broken_bucket", counting(float(len(le))), le=le)
    for le in ("0.1", "0.2", "+Inf"):
        add("uneven_bucket", walking(0, 50), le=le)
    for b in ("0.1", "1", "+Inf"):
        add("lone_bucket", lambda step: 0.0, le=b)
    for a in "xyz":
        for b in ("1", "2"):
            add("grid", walking(0, 10), a=a, b=b)
    add("grid", walking(0, 10), a="x")
    add("my.metric", counting(3), a__b="c d", job="api")
    add("my.metric", walking(0, 5), a__b="é", job="web")
    add("one", walking(1, 2))
    add("flat_total", lambda step: 7.0, job="api")
    return out


def classic(add, rng, name, target):
    """Buckets, sum and count of one classic histogram, in step with each other."""
    bounds = BOUNDS + (math.inf,)
    counts = [0.0] * len(bounds)
    state = {"step": -1, "sum": 0.0}

    def advance(step):
        if state["step"] == step:
            return
        state["step"] = step
        if rng.random() < 0.004:
            counts[:] = [0.0] * len(bounds)
            state["sum"] = 0.0
        for _ in range(rng.randrange(0, 9)):
            seconds = rng.expovariate(2)
            state["sum"] += seconds
            for i, bound in enumerate(bounds):
                counts[i] += seconds <= bound

    def bucket(i):
        return lambda step: (advance(step), counts[i])[1]

    for i, bound in enumerate(bounds):
        add(name + "_bucket", bucket(i), le="+Inf" if bound == math.inf else str(bound), **target)
    add(name + "_sum", lambda step: (advance(step), state["sum"])[1], **target)
    add(name + "_count", bucket(len(bounds) - 1), **target)


def broken(at, rng):
    """Now and then NaN, an infinity, a stale marker or nothing."""

    def value(step):
        plain = at(step)
        dice = rng.random()
        if dice < 0.004:
            return math.nan
        if dice < 0.006:
            return rng.choice((math.inf, -math.inf))
        if dice < 0.012:
            return STALE
        return None if dice < 0.03 else plain

    return value


def gaps(rng, length):
    counter = Counter(rng, 1, 0.02)

    def value(step):
        counter.next()
        phase = step // length % 3
        if phase == 1 and step % length == 0:
            return STALE
        return None if phase == 1 else counter.value

    return value


def versions(rng):
    """An info metric that is there, goes away for a while, and comes back."""
    gone = rng.randrange(100, STEPS)
    return lambda step: STALE if step == gone else None if gone < step < gone + 30 else 1.0


def write(url):
    """Writes the data set to a server; returns how many samples."""
    rng = random.Random(314)
    series = sources(rng)
    # Each series is scraped at its own moment within the step; some jitter.
    moments = [(rng.randrange(0, STEP * 1000), rng.choice((0, 0, 0, 5, 900))) for _ in series]
    sent = 0
    for step in range(STEPS):
        request = []
        for (labels, at), (offset, jitter) in zip(series, moments):
            value = at(step)
            if value is None:
                continue
            shake = rng.randrange(-jitter, jitter + 1) if jitter else 0
            moment = (START + step * STEP) * 1000 + offset % 14_000 + max(0, shake)
            if labels["__name__"] in ("one", "edge", "grid", "epoch"):
                moment = (START + step * STEP) * 1000  # exactly on the evaluation steps
            request.append(encode_series(labels, moment, value))
        send(url, request)
        sent += len(request)
    return sent
