//! StorageConfig: settings of the database that can change without a restart.

use model::number::{format_g, go_quote};

use super::values::{Bytes, Duration};
use super::yaml::{Checked, section, unchecked};

section! {
    /// The `storage` section.
    pub struct StorageConfig("config.StorageConfig", "config.StorageConfig") {
        tsdb: Option<TsdbConfig> = omit "tsdb";
        /// `None` means the defaults of [`ExemplarsConfig::preset`].
        exemplars: Option<ExemplarsConfig> = omit "exemplars";
    }
}

section! {
    /// `storage.tsdb`
    pub struct TsdbConfig("config.TSDBConfig", "config.plain") {
        /// `out_of_order_time_window` in milliseconds: a field of the original's that shows.
        out_of_order_time_window_ms: i64 = keep "outofordertimewindow";
        /// How far behind the newest sample one may still be stored.
        out_of_order_time_window: Duration = omit "out_of_order_time_window";
        /// Share of stale series in the head, 0 to 1, above which they are compacted away at once.
        stale_series_compaction_threshold: f64 = omit "stale_series_compaction_threshold";
        chunk_encoding: ChunkEncodingConfig = omit "chunk_encoding";
        /// Always there once loaded.
        retention: Option<RetentionConfig> = omit "retention";
    }
}

section! {
    /// `storage.tsdb.chunk_encoding`
    pub struct ChunkEncodingConfig("config.ChunkEncodingConfig", "config.ChunkEncodingConfig") {
        /// `xor`, `xor2` or empty for what the feature flag says.
        floats: String = omit "floats";
    }
}

section! {
    /// `storage.tsdb.retention`; zero means no limit of that kind.
    pub struct RetentionConfig("config.TSDBRetentionConfig", "config.plain") {
        time: Duration = omit "time";
        size: Bytes = omit "size";
        /// Share of the disk, 0 to 100; wins over `size`.
        percentage: f64 = omit "percentage";
    }
}

section! {
    /// `storage.exemplars`
    pub struct ExemplarsConfig("config.ExemplarsConfig", "config.ExemplarsConfig") {
        /// Capacity of the exemplar ring; none are kept when not positive.
        max_exemplars: i64 = omit "max_exemplars";
    }
}

impl ExemplarsConfig {
    /// What a configuration without `storage.exemplars` means.
    pub fn preset() -> ExemplarsConfig {
        ExemplarsConfig { max_exemplars: 100_000 }
    }
}

impl Checked for TsdbConfig {
    fn begin(&mut self) {
        *self = TsdbConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        self.out_of_order_time_window_ms = self.out_of_order_time_window.ms();
        let floats = &self.chunk_encoding.floats;
        if !matches!(floats.as_str(), "" | "xor" | "xor2") {
            return Err(format!(
                "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got {}",
                go_quote(floats)
            ));
        }
        Ok(())
    }
}

impl Checked for RetentionConfig {
    fn begin(&mut self) {
        *self = RetentionConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.size.0 < 0 {
            return Err(format!(
                "'storage.tsdb.retention.size' must be greater than or equal to 0, got {}",
                self.size
            ));
        }
        if self.percentage < 0.0 || self.percentage > 100.0 {
            return Err(format!(
                "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {}",
                format_g(self.percentage)
            ));
        }
        Ok(())
    }
}

unchecked!(StorageConfig, ChunkEncodingConfig, ExemplarsConfig);
