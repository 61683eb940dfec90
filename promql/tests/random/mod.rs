//! Random queries over a small set of data with everything in it: counters with resets, gaps,
//! staleness markers, NaN and infinities, classic and native histograms, mixed series.

use std::fmt::Write as _;

use promql::script::{Command, MemoryStorage, Script};

/// A source of bits that is the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const SERIES: &str = r#"
load 30s
  requests_total{job="a", instance="x", code="200"} 0+7x20 3+5x19
  requests_total{job="a", instance="y", code="200"} 5+3x30 _x4 stale 1 2 3
  requests_total{job="a", instance="x", code="500"} 0 0 0 1 1 1 2 2 _ _ _ _ _ _ _ _ _ _ _ _ _ 2+1x18
  requests_total{job="b", instance="x", code="200"} 1+0.1x40
  requests_total{job="b", instance="z", code="500"} _x12 4 4 4 stale 9 1 stale _x8 3+2x12
  temperature{job="a", instance="x"} 1 -2 NaN Inf -Inf 0 -0 1e308 5e-324 7 _x3 8 9 0.1x26
  temperature{job="b", instance="x"} -1 2 3 stale 5 NaN 7 8 9 1 2 3 4 -3+1.5x28
  temperature{job="c"} 3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3 2 3 8 4 6 2 6 4 3 3 8 3 2 7 9 5
  latency_seconds_bucket{job="a", le="0.1"} 0+1x40
  latency_seconds_bucket{job="a", le="1"} 0+3x20 2+1x19
  latency_seconds_bucket{job="a", le="+Inf"} 0+4x20 5+2x19
  latency_seconds_bucket{job="b", le="0.1"} 9 8 7 6 5 4 3 2 1 0x31
  latency_seconds_bucket{job="b", le="1"} 1+2x40
  latency_seconds_bucket{job="b", le="+Inf"} 2+2x40
  native_seconds{job="a"} {{schema:1 sum:4 count:7 z_bucket:1 z_bucket_w:0.01 buckets:[1 2 0 1] n_buckets:[1 1]}}+{{schema:1 sum:2 count:3 z_bucket:1 z_bucket_w:0.01 buckets:[1 1]}}x15 stale {{schema:0 sum:3 count:5 buckets:[2 3]}}+{{schema:0 sum:1 count:2 buckets:[1 1]}}x20
  native_seconds{job="b"} {{schema:0 sum:9 count:9 buckets:[4 5]}}x10 {{schema:0 sum:1 count:1 buckets:[1]}}x10 _x3 {{schema:2 sum:5 count:6 buckets:[1 2 3]}}x15
  native_custom{job="a"} {{schema:-53 sum:4 count:4 custom_values:[1 2 5] buckets:[1 2 0 1]}}+{{schema:-53 sum:2 count:2 custom_values:[1 2 5] buckets:[1 1]}}x40
  native_custom{job="b"} {{schema:-53 sum:3 count:3 custom_values:[1 5] buckets:[1 2]}}x40
  mixed{job="a"} 1 2 {{schema:0 sum:1 count:1 buckets:[1]}} 3 4 {{schema:2 sum:1 count:1 buckets:[1]}} 5x10 {{schema:0 sum:2 count:2 buckets:[1 1]}}x20
  limits{job="a", instance="x"} 5x40
  limits{job="b", instance="x"} 2+1x12 stale 7x25
  build_info{job="a", instance="x", version="1"} 1x40
  build_info{job="a", instance="y", version="2"} 1x20 stale
  build_info{job="b", instance="x", version="1"} _x5 1x30
"#;

/// Milliseconds between the first and last sample of the data.
pub const SPAN_MS: i64 = 40 * 30_000;

/// The data; `wide` has as many series as it takes to be shared out to threads.
pub fn storage() -> Result<MemoryStorage, Box<dyn std::error::Error>> {
    let mut text = SERIES.to_owned();
    for n in 0..90 {
        let (job, start) = (["a", "b", "c"][n % 3], n % 11);
        write!(text, "  wide{{job=\"{job}\", n=\"{n}\"}} ")?;
        match n % 7 {
            0 => writeln!(text, "{start}+0.7x12 _x3 1+1x20")?,
            1 => writeln!(text, "_x{start} 1 2 stale 4 9 2 0.5+{n}x20")?,
            _ => writeln!(text, "{start}+{n}x{}", 20 + n % 20)?,
        }
    }
    let storage = MemoryStorage::default();
    for command in Script::parse(&text)?.commands {
        if let Command::Load(load) = command {
            load.append_to(&storage, 0)?;
        }
    }
    Ok(storage)
}

const NAMES: [&str; 9] = [
    "requests_total",
    "requests_total",
    "temperature",
    "latency_seconds_bucket",
    "native_seconds",
    "native_custom",
    "mixed",
    "limits",
    "wide",
];
const MATCHERS: [&str; 9] = [
    "job=\"a\"",
    "job=\"b\"",
    "job!=\"a\"",
    "job=~\"a|c\"",
    "instance=\"x\"",
    "instance=\"\"",
    "code=~\"5..\"",
    "instance!=\"\"",
    "job!~\"c\"",
];
const LABELS: [&str; 6] = ["job", "instance", "code", "le", "n", "version"];
const RANGED: [&str; 22] = [
    "rate",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
    "ts_of_max_over_time",
    "absent_over_time",
];
const SIMPLE: [&str; 14] = [
    "abs",
    "ceil",
    "sqrt",
    "ln",
    "sgn",
    "timestamp",
    "absent",
    "histogram_count",
    "histogram_sum",
    "histogram_avg",
    "histogram_stddev",
    "sort",
    "hour",
    "-",
];
const FOLDS: [&str; 9] = ["sum", "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"];
const ARITHMETIC: [&str; 11] = ["+", "-", "*", "/", "%", "^", "==", ">", "<", ">= bool", "!= bool"];

/// Writes queries.
pub struct Queries<'d> {
    pub dice: &'d mut Dice,
    /// Whether there may be what depends on the range of the query: `@ start()`, `@ end()`, and the
    /// changing parameter of an aggregation, which goes by its first step (as in Prometheus) when
    /// what is aggregated has a fixed time.
    pub anchors: bool,
}

impl Queries<'_> {
    /// A query that gives an instant vector.
    pub fn query(&mut self) -> String {
        let depth = 1 + self.dice.below(4);
        self.vector(depth)
    }

    fn selector(&mut self) -> String {
        let mut text = self.dice.pick(&NAMES).to_owned();
        let n = self.dice.below(3);
        if n > 0 {
            let matchers: Vec<&str> = (0..n).map(|_| self.dice.pick(&MATCHERS)).collect();
            write!(text, "{{{}}}", matchers.join(",")).unwrap_or_default();
        }
        text
    }

    fn times(&mut self) -> &'static str {
        match self.dice.below(16) {
            0 => " offset 1m",
            1 => " offset -45s",
            2 => " @ 300",
            3 => " @ 433.5 offset 1m",
            4 if self.anchors => " @ start()",
            5 if self.anchors => " @ end()",
            _ => "",
        }
    }

    fn range(&mut self, depth: usize) -> String {
        if depth > 1 && self.dice.one_in(3) {
            let inner = self.vector(depth - 1);
            let range = self.dice.pick(&["[4m:1m]", "[3m:20s]", "[90s:45s]", "[2m:]"]);
            return format!("({inner}){range}{}", self.times());
        }
        let range = self.dice.pick(&["[1m]", "[5m]", "[2m30s]", "[31s]"]);
        let selector = self.selector();
        let extended =
            if self.dice.one_in(12) { self.dice.pick(&[" anchored", " smoothed"]) } else { "" };
        format!("{selector}{range}{extended}{}", self.times())
    }

    fn grouping(&mut self) -> String {
        let n = self.dice.below(3);
        let labels: Vec<&str> = (0..n).map(|_| self.dice.pick(&LABELS)).collect();
        let how = self.dice.pick(&["by", "by", "without"]);
        format!("{how} ({})", labels.join(", "))
    }

    fn matching(&mut self) -> String {
        let labels = match self.dice.below(4) {
            0 => return String::new(),
            1 => "ignoring (code, n, le)".to_owned(),
            2 => format!("on ({})", self.dice.pick(&LABELS)),
            _ => format!("on (job, {})", self.dice.pick(&LABELS)),
        };
        match self.dice.below(4) {
            0 => format!("{labels} group_left"),
            1 => format!("{labels} group_right"),
            2 => format!("{labels} group_left (version)"),
            _ => labels,
        }
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.dice.below(8) {
            0 => format!("scalar({})", self.vector(depth.saturating_sub(1))),
            1 => "time()".to_owned(),
            2 => "NaN".to_owned(),
            _ => self.dice.pick(&["1", "0.5", "-2", "0", "3", "100", "Inf"]).to_owned(),
        }
    }

    /// Aggregations of inputs that differ in matchers only.
    fn of_the_same_series(&mut self) -> String {
        let name = self.dice.pick(&NAMES);
        let (a, b) = (self.dice.pick(&MATCHERS), self.dice.pick(&MATCHERS));
        let (before, after) = match self.dice.below(6) {
            0 => (String::new(), self.times().to_owned()),
            1 => ("quantile_over_time(0.3, ".to_owned(), format!("[2m]{})", self.times())),
            _ => {
                let range = self.dice.pick(&["[1m]", "[5m]", "[31s]", "[2m] smoothed"]);
                (format!("{}(", self.dice.pick(&RANGED)), format!("{range}{})", self.times()))
            }
        };
        let mut query = String::new();
        for n in 0..2 + self.dice.below(3) {
            let matchers = match self.dice.below(6) {
                0 | 1 => String::new(),
                2 => format!("{{{a}}}"),
                3 => format!("{{{b}}}"),
                4 => format!("{{{a}, {b}}}"),
                _ => format!("{{{b}, {a}}}"),
            };
            let grouping = match self.dice.below(3) {
                0 => "by (job)".to_owned(),
                _ => self.grouping(),
            };
            let fold = self.dice.pick(&FOLDS);
            let part = format!("{fold} {grouping} ({before}{name}{matchers}{after})");
            query = match n {
                0 => part,
                _ if self.dice.one_in(4) => {
                    format!(
                        "({query}) {} {part}",
                        self.dice.pick(&["or", "unless", "and on (job)"])
                    )
                }
                _ => {
                    let how = self.matching();
                    format!("({query}) {} {how} {part}", self.dice.pick(&ARITHMETIC))
                }
            };
        }
        query
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.dice.below(3) {
                0 => format!("{}{}", self.selector(), self.times()),
                1 => format!("vector({})", self.scalar(0)),
                _ => format!("{}({})", self.dice.pick(&RANGED), self.range(0)),
            };
        }
        let deeper = depth - 1;
        match self.dice.below(16) {
            0 => format!("{}{}", self.selector(), self.times()),
            1 | 2 => format!("{}({})", self.dice.pick(&RANGED), self.range(depth)),
            3 => format!("{}({})", self.dice.pick(&SIMPLE), self.vector(deeper)),
            4 | 5 => {
                let (op, grouping) = (self.dice.pick(&FOLDS), self.grouping());
                format!("{op} {grouping} ({})", self.vector(deeper))
            }
            6 => {
                let op = self.dice.pick(&["topk", "bottomk", "quantile", "limitk", "limit_ratio"]);
                let param = match op {
                    "quantile" | "limit_ratio" => {
                        self.dice.pick(&["0.5", "0.9", "-0.3"]).to_owned()
                    }
                    _ if self.anchors && self.dice.one_in(4) => {
                        "scalar(limits{job=\"b\"})".to_owned()
                    }
                    _ => self.dice.pick(&["1", "2", "3"]).to_owned(),
                };
                format!("{op} {} ({param}, {})", self.grouping(), self.vector(deeper))
            }
            7 => {
                let inner = self.vector(deeper);
                match self.dice.below(7) {
                    0 => format!("histogram_quantile({}, {inner})", self.scalar(deeper)),
                    1 => format!("histogram_fraction(0, {}, {inner})", self.scalar(deeper)),
                    2 => format!("clamp_max({inner}, {})", self.scalar(deeper)),
                    3 => format!("label_replace({inner}, \"n\", \"$1\", \"job\", \"(.*)\")"),
                    4 => format!("label_join({inner}, \"job\", \"-\", \"job\", \"instance\")"),
                    5 => format!("count_values(\"v\", {inner})"),
                    _ => format!("round({inner}, {})", self.scalar(deeper)),
                }
            }
            8 => {
                let op = self.dice.pick(&ARITHMETIC);
                let (vector, scalar) = (self.vector(deeper), self.scalar(deeper));
                match self.dice.one_in(2) {
                    true => format!("({vector}) {op} {scalar}"),
                    false => format!("{scalar} {op} ({vector})"),
                }
            }
            9 | 10 => {
                let (a, b) = (self.vector(deeper), self.vector(deeper));
                format!("({a}) {} {} ({b})", self.dice.pick(&ARITHMETIC), self.matching())
            }
            11 => {
                let on = match self.dice.below(3) {
                    0 => "",
                    1 => "on (job)",
                    _ => "ignoring (instance, code, n)",
                };
                let op = self.dice.pick(&["and", "or", "unless"]);
                format!("({}) {op} {on} ({})", self.vector(deeper), self.vector(deeper))
            }
            14 | 15 => self.of_the_same_series(),
            // The same part more than once.
            12 => {
                let (a, b) = (self.vector(deeper), self.vector(deeper));
                let op = self.dice.pick(&["/", "-", "or", "and on (job)"]);
                match self.dice.below(3) {
                    0 => format!("({a}) {op} ({a})"),
                    1 => format!("({a}) {op} (({a}) + ({b}))"),
                    _ => format!("(({b}) or ({a})) {op} ({a})"),
                }
            }
            _ => {
                let (a, fold) = (self.vector(deeper), self.dice.pick(&FOLDS));
                format!("{fold} by (job) ({a}) / on (job) count by (job) ({a})")
            }
        }
    }
}
