//! OtlpConfig: how OpenTelemetry names and attributes become metric names and labels.

use model::number::go_quote;

use super::names::ValidationScheme;
use super::values::text_type;
use super::yaml::{Checked, section};

text_type! {
    /// How names are translated.
    pub struct TranslationStrategy("otlptranslator.TranslationStrategyOption", "otlptranslator.TranslationStrategyOption");
}

section! {
    /// The `otlp` section.
    pub struct OtlpConfig("config.OTLPConfig", "config.plain") {
        promote_all_resource_attributes: bool = omit "promote_all_resource_attributes";
        promote_resource_attributes: Vec<String> = omit "promote_resource_attributes";
        ignore_resource_attributes: Vec<String> = omit "ignore_resource_attributes";
        translation_strategy: TranslationStrategy = omit "translation_strategy";
        keep_identifying_resource_attributes: bool = omit "keep_identifying_resource_attributes";
        convert_histograms_to_nhcb: bool = omit "convert_histograms_to_nhcb";
        promote_scope_metadata: bool = omit "promote_scope_metadata";
        label_name_underscore_sanitization: bool = omit "label_name_underscore_sanitization";
        label_name_preserve_multiple_underscores: bool = omit "label_name_preserve_multiple_underscores";
    }
}

impl OtlpConfig {
    /// The defaults.
    pub fn preset() -> OtlpConfig {
        OtlpConfig {
            translation_strategy: TranslationStrategy("UnderscoreEscapingWithSuffixes".to_owned()),
            label_name_underscore_sanitization: true,
            label_name_preserve_multiple_underscores: true,
            ..OtlpConfig::default()
        }
    }

    /// Checks that the translation gives names `scheme` allows.
    pub fn validate(&self, scheme: ValidationScheme) -> Result<(), String> {
        let strategy = &self.translation_strategy.0;
        match strategy.as_str() {
            "" | "UnderscoreEscapingWithSuffixes" | "UnderscoreEscapingWithoutSuffixes" => Ok(()),
            "NoTranslation" | "NoUTF8EscapingWithSuffixes" => {
                if scheme != ValidationScheme::Legacy {
                    return Ok(());
                }
                let quoted = go_quote(strategy);
                Err(format!(
                    "OTLP translation strategy {quoted} is not allowed when UTF8 is disabled"
                ))
            }
            _ => Err(format!("unsupported OTLP translation strategy {}", go_quote(strategy))),
        }
    }
}

/// Trims attribute names; empty and repeated ones are errors, all reported together.
fn sanitize(attributes: &mut [String], adjective: &str, key: &str) -> Result<(), String> {
    let mut errors = Vec::new();
    for i in 0..attributes.len() {
        let name = attributes[i].trim().to_owned();
        if name.is_empty() {
            errors.push(format!("empty {adjective} OTel resource attribute"));
        } else if attributes[..i].contains(&name) {
            let quoted = go_quote(&name);
            errors.push(format!("duplicated {adjective} OTel resource attribute {quoted}"));
        } else {
            attributes[i] = name;
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(format!("invalid '{key}': {}", errors.join("\n"))) }
}

impl Checked for OtlpConfig {
    fn begin(&mut self) {
        *self = OtlpConfig::preset();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.promote_all_resource_attributes {
            if !self.promote_resource_attributes.is_empty() {
                return Err("'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously".to_owned());
            }
            return sanitize(
                &mut self.ignore_resource_attributes,
                "ignored",
                "ignore_resource_attributes",
            );
        }
        if !self.ignore_resource_attributes.is_empty() {
            return Err("'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true".to_owned());
        }
        sanitize(&mut self.promote_resource_attributes, "promoted", "promote_resource_attributes")
    }
}
