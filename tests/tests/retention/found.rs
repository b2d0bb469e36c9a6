//! What a gateway leaves, and what is found in it.

use std::path::{Path, PathBuf};
use weir_tests::Search;
use weir_tests::canary::Hit;

/// All that was gathered.
pub(crate) struct Found {
    pub(crate) search: Search,
    pub(crate) sinks: Vec<(String, Vec<u8>)>,
    pub(crate) loose: usize,
}

impl Found {
    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.sinks.iter().flat_map(|(sink, bytes)| self.search.hits(sink, bytes)).collect()
    }

    /// Each of these policies was asked in each of its hooks.
    pub(crate) fn has_tried(&self, policies: &[(&str, &[&str])]) {
        let metrics = self.sinks.iter().find(|(sink, _)| sink == "metrics").map(|(_, bytes)| bytes).unwrap();
        let metrics = String::from_utf8_lossy(metrics);
        for (policy, hook) in
            policies.iter().flat_map(|(policy, hooks)| hooks.iter().map(move |h| (policy, h)))
        {
            let counted =
                format!("weir_policy_call_duration_seconds_count{{hook=\"{hook}\",policy=\"{policy}\"}}");
            assert!(metrics.contains(&counted), "{policy} was never asked in {hook}");
        }
    }

    pub(crate) fn is_clean(&self, what: &str) {
        let bytes: usize = self.sinks.iter().map(|(_, bytes)| bytes.len()).sum();
        println!(
            "{what}: {} sinks, {bytes} bytes searched for {} canaries",
            self.sinks.len(),
            self.search.count()
        );
        for needed in [
            "data/ledger.sqlite3",
            "live ledger.sqlite3-wal",
            "stdout.1",
            "stderr.1",
            "OTLP traces",
            "OTLP metrics",
            "OTLP logs",
            "metrics",
            "explain",
            "kv",
        ] {
            assert!(self.sinks.iter().any(|(sink, _)| sink.contains(needed)), "{needed} was not searched");
        }
        // They did try: what they said stands there, without its words.
        for tried in ["stdout.1", "metrics", "explain"] {
            let said = |(sink, bytes): &(String, Vec<u8>)| {
                sink.contains(tried) && bytes.windows(10).any(|ten| ten == b"undeclared")
            };
            assert!(self.sinks.iter().any(said), "{what}: no policy tried to write to {tried}");
        }
        let hits: Vec<String> = self.hits().iter().map(ToString::to_string).collect();
        assert!(hits.is_empty(), "{what}: content has leaked:\n{}", hits.join("\n"));
        assert_eq!(self.loose, 0, "{what}: a provider on looser terms was asked");
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}
