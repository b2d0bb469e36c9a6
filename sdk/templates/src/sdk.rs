//! The SDK as a plugin away from this checkout gets it: a folder `weir-sdk` of its own, to be committed with it.

/// The folder, below the plugin's.
pub const FOLDER: &str = "weir-sdk";

/// Where a plugin's `Cargo.toml` finds the crate in it.
pub const PATH: &str = "weir-sdk/rust";

/// Every file of it, by its path below [`FOLDER`]. `rust/Cargo.toml` stands last: where it is, all of them are.
pub fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
    let is_manifest = |file: &&(&str, &str)| file.0 == "rust/Cargo.toml";
    FILES.iter().filter(move |file| !is_manifest(file)).chain(FILES.iter().filter(is_manifest)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn the_list_is_complete_and_fresh() {
        let sdk = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut wanted = BTreeMap::new();
        let mut folders = vec![sdk.join("rust/src"), sdk.join("wit")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(sdk).expect("below it").display().to_string();
                wanted.insert(name, std::fs::read_to_string(path).expect("text"));
            }
        }
        let mut found: BTreeMap<String, String> =
            files().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        assert!(found.remove("LICENSE").is_some_and(|text| text.contains("Apache")));
        let cargo = found.remove("rust/Cargo.toml").expect("a manifest");
        assert_eq!(found, wanted);
        assert!(
            !cargo.contains("workspace")
                && cargo.contains("\nversion = \"")
                && cargo.contains("optional = true")
        );
        assert_eq!(files().last().map(|(name, _)| name), Some("rust/Cargo.toml"));
    }
}
