//! Feature flags: the names `--enable-feature` knows, and what becomes of each here.
//!
//! As in Prometheus an unknown name is a warning, never an error. A known name whose part is not
//! built is a warning too: these are experiments, and a server that stays down because of one
//! would be no replacement.

use promql::Features;

/// What enabling a name does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Switches something on; the text is logged.
    On(&'static str),
    /// The same for one that Prometheus is going to drop; the text is a warning.
    PhasedOut(&'static str),
    /// Always on, or gone: a name that changes nothing any more.
    NoOp,
    /// Not built.
    Unbuilt,
}

const NAMES: &[(&str, Effect)] = &[
    ("auto-reload-config", Effect::On("Automatic reload of the configuration enabled")),
    ("concurrent-rule-eval", Effect::Unbuilt),
    (
        "created-timestamp-zero-ingestion",
        Effect::On("Experimental start timestamp zero ingestion enabled."),
    ),
    ("delayed-compaction", Effect::Unbuilt),
    ("exemplar-storage", Effect::On("Experimental in-memory exemplar storage enabled")),
    ("extra-scrape-metrics", Effect::On("Extra scrape metrics enabled")),
    ("fast-startup", Effect::NoOp),
    (
        "histograms-st-encoding",
        Effect::On("Experimental ST-capable histogram chunk encoding enabled."),
    ),
    ("memory-snapshot-on-shutdown", Effect::On("Experimental memory snapshot on shutdown enabled")),
    ("metadata-wal-records", Effect::On("Experimental metadata records in WAL enabled")),
    ("native-histograms", Effect::NoOp),
    ("old-ui", Effect::Unbuilt),
    ("ooo-native-histograms", Effect::NoOp),
    ("otlp-deltatocumulative", Effect::Unbuilt),
    ("otlp-native-delta-ingestion", Effect::Unbuilt),
    (
        "promql-binop-fill-modifiers",
        Effect::On("Experimental PromQL binary operator fill modifiers enabled."),
    ),
    (
        "promql-delayed-name-removal",
        Effect::On("Experimental PromQL delayed name removal enabled."),
    ),
    ("promql-duration-expr", Effect::NoOp),
    ("promql-experimental-functions", Effect::On("Experimental PromQL functions enabled.")),
    (
        "promql-extended-range-selectors",
        Effect::On("Experimental PromQL extended range selectors enabled."),
    ),
    ("promql-per-step-stats", Effect::On("Experimental per-step statistics reporting")),
    ("search-api", Effect::Unbuilt),
    ("st-storage", Effect::On("Experimental start timestamp storage enabled.")),
    ("st-synthesis", Effect::On("Experimental start timestamp synthesis enabled.")),
    ("type-and-unit-labels", Effect::On("Experimental type and unit labels enabled")),
    (
        "use-start-timestamps",
        Effect::On("Experimental usage of start timestamps in PromQL engine is enabled."),
    ),
    ("use-uncached-io", Effect::NoOp),
    (
        "xor2-encoding",
        Effect::PhasedOut(
            "This option for --enable-feature is being phased out. It currently changes the \
             default for the storage.tsdb.chunk_encoding.floats config setting to xor2, but will \
             become a no-op in a future major version. Stop using this option and set \
             storage.tsdb.chunk_encoding.floats in the config instead.",
        ),
    ),
];

/// The features that are on.
#[derive(Clone, Debug, Default)]
pub struct FeatureSet {
    enabled: Vec<String>,
}

impl FeatureSet {
    /// Takes the values of `--enable-feature` apart and logs what each name does.
    pub fn new(lists: &[String]) -> FeatureSet {
        let mut set = FeatureSet::default();
        for name in lists.iter().flat_map(|l| l.split(',')) {
            match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, Effect::On(text))) => {
                    tracing::info!("{text}");
                    set.enabled.push(name.to_owned());
                }
                Some((_, Effect::PhasedOut(text))) => {
                    tracing::warn!(option = name, "{text}");
                    set.enabled.push(name.to_owned());
                }
                Some((_, Effect::NoOp)) => tracing::warn!(
                    option = name,
                    "This option for --enable-feature has no effect in this server."
                ),
                Some((_, Effect::Unbuilt)) => tracing::warn!(
                    option = name,
                    "This option for --enable-feature is not built yet and stays off."
                ),
                None => {
                    tracing::warn!(option = name, "Unknown option for --enable-feature");
                }
            }
        }
        set
    }

    /// Whether `name` is on.
    pub fn has(&self, name: &str) -> bool {
        self.enabled.iter().any(|n| n == name)
    }

    /// The language switches among them.
    pub fn promql(&self) -> Features {
        Features {
            experimental_functions: self.has("promql-experimental-functions"),
            extended_range_selectors: self.has("promql-extended-range-selectors"),
            binop_fill_modifiers: self.has("promql-binop-fill-modifiers"),
            delayed_name_removal: self.has("promql-delayed-name-removal"),
            use_start_timestamps: self.has("use-start-timestamps"),
            per_step_stats: self.has("promql-per-step-stats"),
            type_and_unit_labels: self.has("type-and-unit-labels"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_repeats() {
        let set = FeatureSet::new(&[
            "promql-experimental-functions,nonsense".to_owned(),
            "promql-per-step-stats".to_owned(),
        ]);
        assert!(set.promql().experimental_functions && set.promql().per_step_stats);
        assert!(!set.has("nonsense"));
    }
}
