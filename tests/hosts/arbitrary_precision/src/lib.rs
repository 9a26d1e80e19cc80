//! `serde_json` keeps the text of numbers here, for everybody in the build.

#[cfg(test)]
#[path = "../../json_features.rs"]
mod json_features;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::json_features;

    #[test]
    fn the_feature_is_on() -> Result<(), serde_json::Error> {
        let value: Value = serde_json::from_str("0.10000000000000000000000000000000000000001")?;

        assert_eq!(value.to_string(), "0.10000000000000000000000000000000000000001");
        Ok(())
    }

    #[test]
    fn mappings_give_the_same_bytes() {
        json_features::same_bytes();
    }
}
