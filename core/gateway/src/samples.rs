//! What tests of several modules are about.

use std::sync::Arc;
use weir_policy::{Retention, Target};

/// A target of which nothing is known but its name, `provider/model`.
pub(crate) fn target(id: &str) -> Target {
    let (provider, model) = id.split_once('/').unwrap_or((id, id));
    Target {
        id: id.into(),
        provider: provider.into(),
        model: model.into(),
        region: Arc::default(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 0,
        max_output_tokens: 0,
        quality: None,
        rates: Arc::default(),
        tags: Arc::default(),
        weight: 1,
    }
}
