//! The policy contract: hooks, verdicts, views, manifest, the ordered pipeline. Knows no engine.
