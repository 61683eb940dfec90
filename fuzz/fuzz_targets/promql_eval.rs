//! Any text that parses is evaluated over a few series of every kind, at one time and over some
//! steps: there is an answer or an error, soon. Seeds: tests/differential/grammar.py makes queries over
//! metrics of these names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::CancelToken;
use promql::parser::{ParserOptions, parse};
use promql::script::{Command, MemoryStorage, Script};
use promql::{Engine, EngineOptions, EvalTime, Features, QueryOptions};

const SERIES: &str = r#"
load 30s
  http_requests_total{job="a", instance="x"} 0 1 3 4 9 2 3 _ stale 5 6 8 9 10 11
  http_requests_total{job="b", instance="x"} 5+3x15
  temperature{job="a"} 1 -2 NaN Inf -Inf 0 -0 1e308 5e-324 7 _x3 8 9
  latency_seconds_bucket{job="a", le="0.1"} 0+1x15
  latency_seconds_bucket{job="a", le="1"} 0+3x15
  latency_seconds_bucket{job="a", le="+Inf"} 0+4x15
  target_info{job="a", instance="x", version="1"} 1x15
  native_seconds{job="a"} {{schema:1 sum:4 count:7 z_bucket:1 z_bucket_w:0.01 buckets:[1 2 0 1] n_buckets:[1 1]}}x15
  native_custom{job="b"} {{schema:-53 sum:4 count:4 custom_values:[1 2 5] buckets:[1 2 0 1]}}x15
  limits{job="a"} 5x15
  one 1+1x15
  mixed 1 2 {{schema:0 sum:1 count:1 buckets:[1]}} 3 4 {{schema:2 sum:1 count:1 buckets:[1]}} 5
"#;

static STORAGE: LazyLock<MemoryStorage> = LazyLock::new(|| {
    let storage = MemoryStorage::default();
    for command in Script::parse(SERIES).expect("a script").commands {
        if let Command::Load(load) = command {
            load.append_to(&storage, 0).expect("series");
        }
    }
    storage
});

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        ..Features::default()
    };
    Engine::new(EngineOptions { threads: 1, max_samples: 20_000, features, ..EngineOptions::default() })
});

fuzz_target!(|text: &str| {
    if parse(text, &ParserOptions::ALL).is_err() {
        return;
    }
    for at in [
        EvalTime { start_ms: 300_000, end_ms: 300_000, step_ms: 0 },
        EvalTime { start_ms: 60_000, end_ms: 420_000, step_ms: 45_000 },
    ] {
        let uncounted = at.step_ms > 0;
        let options = QueryOptions { lookback_ms: None, per_step_stats: true, uncounted };
        let _ = ENGINE.query(&*STORAGE, text, at, options, &CancelToken::default());
    }
});
