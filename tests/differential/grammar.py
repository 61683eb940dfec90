"""Random PromQL by type: every function, operator and modifier, nested, some of it invalid.

A `Query` knows which features its text uses, so that a run can say for each how many queries had an
answer. What is generated is weighted towards queries that find data.
"""

import os
import random
import sys

import dataset

SCALAR_METRICS = ("one", "limits", "flat_total")
FLOATS = (
    "http_requests_total", "temperature", "free_bytes", "up", "edge", "gappy", "gappy_total", "epoch",
    "grid", "limits", "one", "latency_seconds_sum", "latency_seconds_count", "flat_total",
)
HISTOGRAMS = (
    "native_seconds", "native_float", "native_gauge", "native_custom", "native_custom_gauge", "mixed",
)
CLASSIC = ("latency_seconds_bucket", "broken_bucket", "uneven_bucket", "lone_bucket")
MATCHERS = {
    "job": ('="api"', '="web"', '!="api"', '=~"a.*|x"', '!~"w.+"', '=~".*"', '=""', '!=""'),
    "instance": ('="a:80"', '=~"[ab]:80"', '!="c:80"', '=~"a:80|b:80"', '!~".*:81"'),
    "code": ('="200"', '=~"2..|4.."', '!="500"', '=~"5.."', '!~"(4|5).."'),
    "handler": ('="/"', '=~"/.+"', '!="/api"'),
    "le": ('="0.5"', '="+Inf"', '!="+Inf"', '=~"0.*"'),
    "value": ('="NaN"', '=~".Inf"', '!="1e308"', '=~"-?[0-9.]+"'),
    "every": ('="2"', '=~"5|19"'),
    "which": ('="y2k"', '!="old"'),
    "kind": ('="both"', '=~"float|histogram"'),
    "a": ('="x"', '!="y"'),
}
LABELS_OF = {
    "http_requests_total": ("job", "instance", "code", "handler"),
    "edge": ("value",), "gappy": ("every",), "gappy_total": ("every",), "epoch": ("which",), "grid": ("a",),
    "limits": ("job",), "flat_total": ("job",), "one": (), "mixed": ("kind",),
    "broken_bucket": ("le",), "uneven_bucket": ("le",), "lone_bucket": ("le",),
    "latency_seconds_bucket": ("job", "instance", "le"),
    "native_custom_gauge": ("job",),
}
RANGES = ("30s", "1m", "1m30s", "5m", "5m", "7m", "10m", "20m", "1h", "90", "15s", "0x80", "2m - 15s")

ROUNDING = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg", "exp", "floor",
    "ln", "log10", "log2", "rad", "sgn", "sin", "sinh", "sqrt", "tan", "tanh", "timestamp", "sort",
    "sort_desc", "absent",
)
DATES = ("day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year")
OF_HISTOGRAMS = ("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar")
OVER_TIME = (
    "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "deriv", "first_over_time",
    "idelta", "increase", "irate", "last_over_time", "max_over_time", "min_over_time", "present_over_time",
    "rate", "rate", "resets", "stddev_over_time", "stdvar_over_time", "sum_over_time",
)
OVER_TIME_EXPERIMENTAL = (
    "mad_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
)
EXTENSIONS = {
    "rate": ("anchored", "smoothed"), "increase": ("anchored", "smoothed"), "delta": ("anchored", "smoothed"),
    "changes": ("anchored",), "resets": ("anchored",),
}
AGGREGATORS = ("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
TRIMS = ("</", ">/")
SETS = ("and", "or", "unless")
GROUPINGS = ("job", "instance", "code", "handler", "le", "a", '"a.b"', "value", "kind", "missing")


class Features:
    """The flags a run is for, and what the grammar may use because of them."""

    def __init__(self, names=()):
        self.names = tuple(names)
        self.functions = "promql-experimental-functions" in names
        self.extended = "promql-extended-range-selectors" in names
        self.fill = "promql-binop-fill-modifiers" in names

    def expected(self):
        """Every feature that a run of this kind must have had an answer for."""
        names = set(ROUNDING + DATES + OF_HISTOGRAMS + OVER_TIME + AGGREGATORS)
        names |= set(ARITHMETIC + COMPARISONS + TRIMS + SETS)
        names |= {
            "clamp", "clamp_max", "clamp_min", "histogram_fraction", "histogram_quantile", "label_join",
            "label_replace", "pi", "predict_linear", "quantile_over_time", "round", "scalar", "time", "vector",
            "topk", "bottomk", "quantile", "count_values", "by", "without", "bool", "on", "ignoring",
            "group_left", "group_right", "offset", "negative offset", "@", "@ start()", "@ end()", "subquery",
            "subquery default step", "ratio", "unary -", "unary +", "string", "duration arithmetic",
        }
        if self.functions:
            names |= set(OVER_TIME_EXPERIMENTAL) | {
                "double_exponential_smoothing", "end", "start", "step", "range", "max_of", "min_of", "info",
                "histogram_quantiles", "sort_by_label", "sort_by_label_desc", "limitk", "limit_ratio",
                "start_timestamp",
            }
        if self.extended:
            names |= {"anchored", "smoothed", "smoothed instant"}
        if self.fill:
            names |= {"fill", "fill_left", "fill_right"}
        return names


class Grammar:
    """Makes one query after the other from a seed."""

    def __init__(self, seed, features):
        self.rng = random.Random(seed)
        self.features = features
        self.used = set()

    def query(self):
        """(text, features used, whether it was spoiled on purpose)."""
        self.used = set()
        depth = self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4))
        kind = self.rng.random()
        if kind < 0.9:
            text = self.vector(depth)
        elif kind < 0.97:
            text = self.scalar(depth)
        elif kind < 0.985:
            text = self.string()
        else:
            text = self.matrix(depth)
        if self.rng.random() < 0.06:
            return self.spoil(text), set(), True
        return text, self.used, False

    # Scalars and strings.

    def scalar(self, depth):
        options = [self.number, self.number, self.number]
        if depth > 0:
            options += [self.time, self.scalar_of, self.scalar_operation, self.unary_scalar, self.pi]
            if self.features.functions:
                options += [self.scalar_experimental] * 2
        return self.pick(options)(depth) if depth > 0 else self.number(depth)

    def number(self, depth):
        return self.pick((
            "0", "1", "2", "0.5", "-1", "3.7", "1e3", "0x1F", "1_000", "Inf", "-Inf", "NaN", ".25", "1m", "017", "1h30m",
        ))

    def time(self, depth):
        return self.use("time") + "()"

    def pi(self, depth):
        return self.use("pi") + "()"

    def scalar_of(self, depth):
        inner = self.pick(SCALAR_METRICS) if self.rng.random() < 0.6 else self.vector(depth - 1)
        return f"{self.use('scalar')}({inner})"

    def scalar_operation(self, depth):
        if self.rng.random() < 0.3:
            self.use("bool")
            operator = self.use(self.pick(COMPARISONS)) + " bool"
        else:
            operator = self.use(self.pick(ARITHMETIC))
        return self.maybe_parenthesised(f"{self.scalar(depth - 1)} {operator} {self.scalar(depth - 1)}")

    def unary_scalar(self, depth):
        sign = self.pick("+-")
        self.use("unary " + sign)
        return f"{sign}{self.scalar(depth - 1)}"

    def scalar_experimental(self, depth):
        name = self.use(self.pick(("start", "end", "step", "range", "max_of", "min_of")))
        if name.endswith("_of"):
            return f"{name}({self.scalar(depth - 1)}, {self.scalar(depth - 1)})"
        return name + "()"

    def string(self, depth=0):
        self.use("string")
        return self.pick(('"text"', "'single'", "`raw\\n`", '"\\u00e9\\n"', '""'))

    # Selectors.

    def matchers(self, name):
        known = LABELS_OF.get(name, ("job", "instance"))
        chosen = [n for n in known if self.rng.random() < 0.3]
        if self.rng.random() < 0.03:
            chosen.append(self.pick(list(MATCHERS)))
        return ", ".join(n + self.pick(MATCHERS[n]) for n in chosen)

    def selector(self, names):
        dice = self.rng.random()
        if dice < 0.02:
            return '{"my.metric"' + self.pick(("", ', "a.b"="c d"', ', "a.b"!="é"')) + "}"
        if dice < 0.05:
            return "{__name__=~" + self.pick(('"native_.*"', '"gappy|one"', '"latency_seconds_(sum|count)"', '"free.+"')) + "}"
        if dice < 0.06:
            return "nothing_here"
        name = self.pick(names)
        inner = self.matchers(name)
        return f"{name}{{{inner}}}" if inner or self.rng.random() < 0.05 else name

    def moved(self, text):
        """A selector or subquery with `offset` and `@`, in either order."""
        parts = []
        if self.rng.random() < 0.12:
            negative = self.rng.random() < 0.3
            amount = self.pick(("30s", "1m", "5m", "17s", "1h", "1m30s", "90"))
            self.use("offset")
            if negative:
                self.use("negative offset")
            parts.append(f"offset {'-' if negative else ''}{amount}")
        if self.rng.random() < 0.12:
            moment = dataset.START + self.rng.randrange(3600, 4 * 3600)
            at = self.pick(("start()", "end()", str(moment), f"{moment}.5"))
            self.use("@")
            if at.endswith(")"):
                self.use("@ " + at)
            parts.append("@ " + at)
        self.rng.shuffle(parts)
        return " ".join([text] + parts)

    def instant_selector(self, names=None):
        names = names or (FLOATS * 3 + HISTOGRAMS * 2 + CLASSIC)
        text = self.selector(names)
        if self.features.extended and self.rng.random() < 0.15:
            self.use("smoothed")
            self.use("smoothed instant")
            text += " smoothed"
        return self.moved(text)

    def duration(self, values=RANGES):
        text = self.pick(values)
        if " " in text:
            self.use("duration arithmetic")
        if self.rng.random() < 0.04:
            self.use("duration arithmetic")
            text = self.pick(("step() + 1m", "min_of(5m, 3m)", "2 * 1m", "(1m + 30s) * 2", "10m % 7m", "2 ^ 6", "max_of(step(), 1m)"))
        return text

    def matrix(self, depth, names=None, extensions=()):
        if depth > 1 and self.rng.random() < 0.35:
            return self.subquery(depth)
        text = f"{self.selector(names or (FLOATS * 3 + HISTOGRAMS * 2 + CLASSIC))}[{self.duration()}]"
        if self.features.extended and extensions and self.rng.random() < 0.6:
            text += " " + self.use(self.pick(extensions))
        return self.moved(text)

    def subquery(self, depth):
        self.use("subquery")
        inner = self.vector(depth - 1) if self.rng.random() < 0.85 else self.scalar(depth - 1)
        step = self.pick(("", "15s", "30s", "1m", "47s", "5m"))
        if not step:
            self.use("subquery default step")
        text = f"({inner})[{self.duration(('5m', '10m', '3m', '1h', '100s'))}:{step}]"
        return self.moved(text)

    # Vectors.

    def vector(self, depth):
        if depth <= 0:
            return self.instant_selector()
        options = [
            (2, lambda: self.instant_selector()),
            (3, lambda: self.simple_call(depth)),
            (6, lambda: self.over_time(depth)),
            (3, lambda: self.other_call(depth)),
            (3, lambda: self.of_histogram(depth)),
            (6, lambda: self.aggregation(depth)),
            (6, lambda: self.operation(depth)),
            (2, lambda: self.ratio()),
            (1, lambda: self.unary(depth)),
        ]
        if self.features.functions:
            options.append((6, lambda: self.experimental(depth)))
        weights = [w for w, _ in options]
        return self.rng.choices([make for _, make in options], weights)[0]()

    def simple_call(self, depth):
        if self.rng.random() < 0.25:
            name = self.use(self.pick(DATES))
            return f"{name}({self.pick(('', 'epoch', self.vector(depth - 1)))})"
        name = self.use(self.pick(ROUNDING))
        if name == "absent" and self.rng.random() < 0.7:
            return 'absent(nothing_here{job="api", code=~"5.."})'
        return f"{name}({self.vector(depth - 1)})"

    def over_time(self, depth):
        names = OVER_TIME + ("quantile_over_time", "predict_linear")
        if self.features.functions:
            names += OVER_TIME_EXPERIMENTAL
        name = self.use(self.pick(names))
        if name == "quantile_over_time":
            return f"{name}({self.level(depth)}, {self.matrix(depth)})"
        if name == "predict_linear":
            return f"{name}({self.matrix(depth)}, {self.scalar(depth - 1)})"
        if name == "absent_over_time" and self.rng.random() < 0.7:
            return 'absent_over_time(nothing_here{job="web"}[5m])'
        if self.rng.random() < 0.03:
            return f"{name}({self.matrix(0, None, ('anchored', 'smoothed'))})"
        return f"{name}({self.matrix(depth, None, EXTENSIONS.get(name, ()))})"

    def level(self, depth):
        if self.rng.random() < 0.85:
            return self.pick(("0.5", "0.9", "0.99", "0", "1", "0.25", "-0.5", "1.5", "NaN"))
        return self.scalar(depth - 1)

    def other_call(self, depth):
        inner = self.vector(depth - 1)
        name = self.use(self.pick(("clamp", "clamp_max", "clamp_min", "label_join", "label_replace", "round", "vector")))
        if name == "clamp":
            return f"clamp({inner}, {self.scalar(depth - 1)}, {self.scalar(depth - 1)})"
        if name in ("clamp_max", "clamp_min"):
            return f"{name}({inner}, {self.scalar(depth - 1)})"
        if name == "label_join":
            target, separator = self.pick(("new", "job", "a.b", "__name__")), self.pick(("-", "", "é"))
            sources = self.pick(('"job", "instance"', '"job", "code"', '"a"'))
            return f'label_join({inner}, "{target}", "{separator}", {sources})'
        if name == "label_replace":
            target = self.pick(("new", "job", "instance", "__name__"))
            template = self.pick(("$1", "x-${1}", "$name", "", "plain"))
            source = self.pick(("job", "instance", "missing", "__name__"))
            pattern = self.pick(("(.*)", "(a).*", "(?P<name>w).*", "a:(.+)", "", "("))
            return f'label_replace({inner}, "{target}", "{template}", "{source}", "{pattern}")'
        if name == "round":
            return f"round({inner}{self.pick(('', ', 0.1', ', 5', ', ' + self.scalar(depth - 1)))})"
        return f"vector({self.scalar(depth - 1)})"

    def of_histogram(self, depth):
        name = self.pick(OF_HISTOGRAMS + ("histogram_fraction", "histogram_quantile", "histogram_quantile"))
        self.use(name)
        source = self.histogram(depth - 1)
        if name == "histogram_fraction":
            return f"{name}({self.pick(('0', '-1', '0.1', '-Inf', 'NaN'))}, {self.pick(('0.5', '1', '2', '+Inf', '0.1'))}, {source})"
        if name == "histogram_quantile":
            return f"{name}({self.level(depth)}, {source})"
        return f"{name}({source})"

    def histogram(self, depth):
        """Something that mostly is made of histograms, native or classic."""
        dice = self.rng.random()
        native = dice < 0.55
        names = HISTOGRAMS if native else CLASSIC + ("latency_seconds_bucket",) * 6
        if dice > 0.95:
            return self.vector(depth)
        text = self.instant_selector(names)
        if depth > 0 and self.rng.random() < 0.6:
            text = f"{self.use(self.pick(('rate', 'increase')))}({self.matrix(0, names)})"
        if depth > 0 and self.rng.random() < 0.4:
            self.use("by")
            text = f"{self.use(self.pick(('sum', 'avg')))} by ({'job' if native else 'le, job'}) ({text})"
        return text

    def grouping(self):
        if self.rng.random() < 0.25:
            return ""
        word = self.use(self.pick(("by", "by", "without")))
        labels = [label for label in GROUPINGS if self.rng.random() < 0.2]
        return f"{word} ({', '.join(labels)})"

    def aggregation(self, depth):
        inner = self.vector(depth - 1)
        names = AGGREGATORS * 2 + ("topk", "bottomk", "quantile", "count_values")
        if self.features.functions:
            names += ("limitk", "limit_ratio") * 2
        name = self.use(self.pick(names))
        if name in ("topk", "bottomk", "limitk"):
            inner = f"{self.pick(('1', '2', '3', '5', '0', self.scalar(depth - 1)))}, {inner}"
        elif name == "limit_ratio":
            inner = f"{self.pick(('0.5', '-0.5', '0.1', '1', '-1', '1.5', '0', self.scalar(depth - 1)))}, {inner}"
        elif name == "quantile":
            inner = f"{self.level(depth)}, {inner}"
        elif name == "count_values":
            inner = f'"{self.pick(("value", "job", "a.b"))}", {inner}'
        group = self.grouping()
        if not group:
            return f"{name}({inner})"
        return f"{name} {group} ({inner})" if self.rng.random() < 0.7 else f"{name}({inner}) {group}"

    def operation(self, depth):
        kind = self.rng.random()
        if kind < 0.3:
            return self.with_scalar(depth)
        if kind < 0.5:
            return self.joined(depth)
        operator = self.pick(ARITHMETIC * 2 + COMPARISONS + SETS * 3 + TRIMS)
        self.use(operator)
        left = self.vector(depth - 1)
        if operator in TRIMS:
            left, right = self.histogram(depth - 1), self.scalar(depth - 1)
            return self.maybe_parenthesised(f"{left} {operator} {right}")
        same = self.rng.random() < 0.5
        right = left if same else self.vector(depth - 1)
        if operator in COMPARISONS and self.rng.random() < 0.4:
            self.use("bool")
            operator += " bool"
        if self.rng.random() < 0.45:
            word = self.use(self.pick(("on", "ignoring")))
            labels = [label for label in GROUPINGS[:5] if self.rng.random() < 0.35]
            operator += f" {word} ({', '.join(labels)})"
        operator += self.fills()
        return self.maybe_parenthesised(f"{left} {operator} {right}")

    def ratio(self):
        """Aggregations of inputs that differ in matchers only."""
        name = self.pick(FLOATS * 3 + HISTOGRAMS + CLASSIC)
        matchers = [label + self.pick(MATCHERS[label]) for label in LABELS_OF.get(name, ("job", "instance"))]
        before, after = "", ""
        if self.rng.random() < 0.75:
            function = self.use(self.pick(OVER_TIME))
            before, after = f"{function}(", f"[{self.duration()}])"
        if self.rng.random() < 0.1:
            self.use("@")
            self.use("@ end()")
            after = after.replace(")", " @ end())") if after else " @ end()"
        text = ""
        for _ in range(self.pick((2, 2, 2, 3, 4))):
            chosen = [m for m in matchers if self.rng.random() < 0.35]
            self.rng.shuffle(chosen)
            selector = f"{name}{{{', '.join(chosen)}}}" if chosen else name
            fold = self.use(self.pick(AGGREGATORS))
            part = f"{fold} {self.grouping()} ({before}{selector}{after})"
            if not text:
                text = part
                continue
            operator = self.use(self.pick(("/", "/", "-", "+", ">", "or", "unless", "and")))
            if self.rng.random() < 0.4:
                labels = [label for label in GROUPINGS[:4] if self.rng.random() < 0.35]
                operator += f" {self.use(self.pick(('on', 'ignoring')))} ({', '.join(labels)})"
                if operator[0] in "/-+>" and self.rng.random() < 0.4:
                    operator += " " + self.use(self.pick(("group_left", "group_right")))
            text = f"({text} {operator} {part})"
        self.use("ratio")
        return text

    def fills(self):
        if not self.features.fill or self.rng.random() < 0.4:
            return ""
        value = self.pick(("0", "1", "-1.5", "NaN", "Inf"))
        words = self.pick((("fill",), ("fill_left",), ("fill_right",), ("fill_left", "fill_right")))
        return "".join(f" {self.use(word)}({value})" for word in words)

    def with_scalar(self, depth):
        operator = self.use(self.pick(ARITHMETIC + COMPARISONS))
        if operator in COMPARISONS and self.rng.random() < 0.4:
            self.use("bool")
            operator += " bool"
        sides = [self.vector(depth - 1), self.scalar(depth - 1)]
        self.rng.shuffle(sides)
        return self.maybe_parenthesised(f"{sides[0]} {operator} {sides[1]}")

    def joined(self, depth):
        """A many-to-one join that has a chance to match."""
        many, one, labels, include = self.pick((
            ("http_requests_total", "limits", "job", ""),
            ("http_requests_total", "build_info", "job", "version"),
            ("rate(http_requests_total[5m])", "limits", "job", ""),
            ("temperature", "target_info", "job, instance", "version, region"),
            ("native_seconds", "limits", "job", ""),
            ("free_bytes", "flat_total", "job", ""),
            ("grid", "sum by (a) (grid)", "a", ""),
            ("native_seconds", "native_seconds", "job", "instance"),
        ))
        operator = self.use(self.pick(ARITHMETIC + COMPARISONS))
        self.use("on")
        left = self.rng.random() < 0.5
        word = self.use("group_left" if left else "group_right")
        many = self.moved(many) if " " not in many and "(" not in many else many
        sides = (many, one) if left else (one, many)
        return self.maybe_parenthesised(f"{sides[0]} {operator} on ({labels}) {word} ({include}){self.fills()} {sides[1]}")

    def unary(self, depth):
        sign = self.pick("+-")
        self.use("unary " + sign)
        return f"{sign}{self.vector(depth - 1)}"

    def experimental(self, depth):
        name = self.use(self.pick((
            "double_exponential_smoothing", "info", "histogram_quantiles", "sort_by_label", "sort_by_label_desc",
            "start_timestamp",
        )))
        if name == "double_exponential_smoothing":
            return f"{name}({self.matrix(depth)}, {self.pick(('0.5', '0.1', '1', '0'))}, {self.pick(('0.5', '0.9', '0'))})"
        if name == "info":
            selector = self.pick(("", "", ', {version=~".+"}', ', {region="eu"}', ', {__name__="build_info"}', ', {missing=""}'))
            inner = self.instant_selector(("http_requests_total", "temperature", "free_bytes", "native_seconds"))
            return f"info({inner}{selector})"
        if name == "histogram_quantiles":
            # The first quantile of several spoils classic buckets for the others there (docs/decisions).
            return f'{name}({self.instant_selector(HISTOGRAMS)}, "q", {self.pick(("0.5", "0.1, 0.9", "0, 0.5, 1"))})'
        if name == "start_timestamp":
            return f"{name}({self.instant_selector()})"
        labels = self.pick(('"job"', '"instance", "job"', '"a"', '"code", "handler"'))
        return f"{name}({self.vector(depth - 1)}, {labels})"

    # Tools.

    def use(self, feature):
        self.used.add(feature)
        return feature

    def pick(self, options):
        return self.rng.choice(options)

    def maybe_parenthesised(self, text):
        return f"({text})" if self.rng.random() < 0.5 else text

    def spoil(self, text):
        """Takes a character away, doubles one, swaps two words or puts something in."""
        at = self.rng.randrange(len(text))
        kind = self.rng.randrange(5)
        if kind == 0:
            return text[:at] + text[at + 1:]
        if kind == 1:
            return text[:at] + text[at] + text[at:]
        if kind == 2:
            return text[:at] + self.pick(("(", ")", "[", "]", "{", "}", ",", '"', "by", "@", "offset", "[5m]", "é", "#", "$", "bool")) + text[at:]
        if kind == 3:
            words = text.split(" ")
            self.rng.shuffle(words)
            return " ".join(words)
        return text[:at]


def main():
    """Writes queries as files into a folder, as seeds for the fuzz target promql_eval."""
    folder, count = sys.argv[1], int(sys.argv[2])
    every = Features((
        "promql-experimental-functions", "promql-extended-range-selectors", "promql-binop-fill-modifiers",
    ))
    grammar = Grammar(1, every)
    os.makedirs(folder, exist_ok=True)
    for n in range(count):
        with open(os.path.join(folder, f"query-{n}"), "w") as f:
            f.write(grammar.query()[0])


if __name__ == "__main__":
    main()
