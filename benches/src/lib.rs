//! The benchmark harness: Weir side by side with other proxies.
