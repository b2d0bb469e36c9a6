//! What is served where a policy is bound: the coverage proof is over these surfaces.

use crate::config::{Config, PolicyBinding, Speaks};
use weir_policy::manifest::Surface;

/// The surfaces of the models that a policy is bound to; all, if it is bound to all or callers may name any model.
pub fn surfaces(config: &Config, binding: &PolicyBinding) -> Vec<Surface> {
    let Some(models) = binding.models.as_ref().filter(|_| !config.direct) else {
        return Surface::ALL.to_vec();
    };
    let aliases = config.models.iter().filter(|alias| models.contains(&alias.name));
    let providers = aliases.flat_map(|alias| &alias.targets).filter_map(|t| config.providers.get(t.provider));
    let speaks: Vec<Speaks> = providers.map(|provider| provider.speaks).collect();
    let served = |surface: &Surface| speaks.iter().any(|speaks| speaks.serves(surface.api().0));
    Surface::ALL.into_iter().filter(served).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn served(rest: &str) -> Vec<Surface> {
        let yaml = format!(
            "providers: {{ a: {{ base_url: 'https://a.example', dialect: anthropic, vendor: other }}, o: {{ base_url: 'https://o.example', dialect: openai, vendor: other }} }}
models: {{ claude: {{ targets: [a/x] }}, both: {{ targets: [a/x, o/y] }} }}
{rest}"
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p.rhai"), "").unwrap();
        let config = Config::parse(&yaml, dir.path(), Path::new("weir.yaml"), &|_| None).unwrap();
        surfaces(&config, &config.policies[0])
    }

    #[test]
    fn a_binding_to_models_serves_what_their_providers_serve() {
        let claude = served("direct: false\npolicies: [{ file: p.rhai, models: [claude] }]");
        assert!(claude.contains(&Surface::ChatStream) && claude.contains(&Surface::CountTokens));
        assert!(!claude.contains(&Surface::Embeddings));
        assert_eq!(served("direct: false\npolicies: [{ file: p.rhai, models: [both] }]"), Surface::ALL);
    }

    #[test]
    fn a_binding_to_all_serves_all() {
        assert_eq!(served("direct: false\npolicies: [{ file: p.rhai }]"), Surface::ALL);
        assert_eq!(served("policies: [{ file: p.rhai, models: [claude] }]"), Surface::ALL);
    }
}
