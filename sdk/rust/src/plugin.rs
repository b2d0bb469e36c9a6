//! What every plugin is, and its config.

/// What every plugin is: something made from a config.
pub trait Plugin: Sized + 'static {
    /// Makes the plugin; asked once per version, with [`Config::EMPTY`] if the operator gave none. What it leaves behind is
    /// what every instance begins with.
    ///
    /// # Errors
    /// What is wrong with the config, for the operator. The policy is then refused at load.
    fn configure(config: Config<'_>) -> Result<Self, String>;

    /// Asked on the candidate before it replaces the running version.
    ///
    /// # Errors
    /// Why the candidate must not go live.
    fn self_test(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The operator's config for this policy, as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    json: &'a str,
}

impl<'a> Config<'a> {
    /// No config: `{}`.
    pub const EMPTY: Config<'static> = Config { json: "{}" };

    /// A config from JSON text.
    #[must_use]
    pub const fn new(json: &'a str) -> Self {
        Self { json }
    }

    /// The JSON text.
    #[must_use]
    pub const fn json(&self) -> &'a str {
        self.json
    }

    /// The config as a type.
    ///
    /// # Errors
    /// What does not fit, with its line and column in the JSON text.
    #[cfg(feature = "serde")]
    pub fn parse<T: serde::de::Deserialize<'a>>(&self) -> Result<T, String> {
        serde_json::from_str(self.json).map_err(|e| e.to_string())
    }
}
