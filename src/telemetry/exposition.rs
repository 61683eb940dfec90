//! Exposition: families as Prometheus's text format 0.0.4, the one `/metrics` serves (the real
//! server's handler does not offer OpenMetrics either).

use model::number::format_g;

use super::metrics::{Family, Kind, Value};

/// Content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Writes `families` in their order.
pub fn text(families: &[Family]) -> String {
    let mut out = String::with_capacity(64 * 1024);
    for family in families {
        let name = &family.name;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for metric in &family.metrics {
            let labels = &metric.labels;
            match &metric.value {
                Value::Number(v) => line(&mut out, name, "", labels, None, &format_g(*v)),
                Value::Histogram { buckets, sum, count } => {
                    for (bound, n) in buckets {
                        let le = format_g(*bound);
                        line(&mut out, name, "_bucket", labels, Some(("le", &le)), &n.to_string());
                    }
                    let inf = Some(("le", "+Inf"));
                    line(&mut out, name, "_bucket", labels, inf, &count.to_string());
                    totals(&mut out, name, labels, *sum, *count);
                }
                Value::Summary { quantiles, sum, count } => {
                    for (q, v) in quantiles {
                        let extra = format_g(*q);
                        let extra = Some(("quantile", extra.as_str()));
                        line(&mut out, name, "", labels, extra, &format_g(*v));
                    }
                    totals(&mut out, name, labels, *sum, *count);
                }
            }
        }
    }
    out
}

fn totals(out: &mut String, name: &str, labels: &[(String, String)], sum: f64, count: u64) {
    line(out, name, "_sum", labels, None, &format_g(sum));
    line(out, name, "_count", labels, None, &count.to_string());
}

fn line(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[(String, String)],
    extra: Option<(&str, &str)>,
    value: &str,
) {
    out.push_str(name);
    out.push_str(suffix);
    let pairs = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(extra);
    let mut any = false;
    for (label, text) in pairs {
        out.push(if any { ',' } else { '{' });
        any = true;
        out.push_str(label);
        out.push_str("=\"");
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if any {
        out.push('}');
    }
    out.push(' ');
    out.push_str(value);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::metrics::Registry;
    use super::*;

    #[test]
    fn every_type() {
        let registry = Registry::default();
        registry.gauge("b", "a\nb").set(1e6);
        registry.counters("a_total", "A.", ["code"]).add(["x\"y"], 2.0);
        registry.histograms("h", "H.", ["k"], &[0.1, 1.0]).observe(["v"], 0.5);
        let summaries = registry.summaries("s", "S.", ["slice"]);
        summaries.declare(["none"]);
        summaries.observe(["some"], 2.0);
        assert_eq!(
            text(&registry.gather()),
            "# HELP a_total A.\n# TYPE a_total counter\na_total{code=\"x\\\"y\"} 2\n\
             # HELP b a\\nb\n# TYPE b gauge\nb 1e+06\n\
             # HELP h H.\n# TYPE h histogram\n\
             h_bucket{k=\"v\",le=\"0.1\"} 0\nh_bucket{k=\"v\",le=\"1\"} 1\n\
             h_bucket{k=\"v\",le=\"+Inf\"} 1\nh_sum{k=\"v\"} 0.5\nh_count{k=\"v\"} 1\n\
             # HELP s S.\n# TYPE s summary\n\
             s{slice=\"none\",quantile=\"0.5\"} NaN\ns{slice=\"none\",quantile=\"0.9\"} NaN\n\
             s{slice=\"none\",quantile=\"0.99\"} NaN\ns_sum{slice=\"none\"} 0\n\
             s_count{slice=\"none\"} 0\n\
             s{slice=\"some\",quantile=\"0.5\"} 2\ns{slice=\"some\",quantile=\"0.9\"} 2\n\
             s{slice=\"some\",quantile=\"0.99\"} 2\ns_sum{slice=\"some\"} 2\n\
             s_count{slice=\"some\"} 1\n"
        );
    }
}
