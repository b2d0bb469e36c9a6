//! What `weir policy new` and `weir plugin new` write: a policy for each hook that passes its own cases at once.
//!
//! The templates are files beside this crate: `rhai/HOOK.rhai` with `rhai/HOOK.cases.yaml`, and `rust/HOOK/` with
//! `manifest.yaml`, `cases.yaml` and `src/lib.rs`. `{{name}}` and its like are filled in; sources have none, so that
//! they compile as they lie here.
//!
//! [`sdk`] is what a plugin needs beside them where there is no checkout of Weir.

#[cfg(test)]
mod compiled;
pub mod sdk;

/// A script and its cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// The hook that it shows; the script may have another beside it.
    pub hook: &'static str,
    source: &'static str,
    cases: &'static str,
}

/// A plugin's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plugin {
    /// Its hooks, in the order of a request.
    pub hooks: &'static [&'static str],
    /// The capabilities that its manifest asks for.
    pub capabilities: &'static [&'static str],
    manifest: &'static str,
    source: &'static str,
    cases: &'static str,
}

/// Where a new plugin's crate finds the SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a folder that is there already.
    Beside {
        /// The folder, as `Cargo.toml` names it.
        sdk: String,
        /// Whether the plugin is a member of a workspace, which then has the profile `plugin`.
        member: bool,
    },
    /// In a copy of its own.
    Alone,
}

macro_rules! script {
    ($hook:literal) => {
        Script {
            hook: $hook,
            source: include_str!(concat!("../rhai/", $hook, ".rhai")),
            cases: include_str!(concat!("../rhai/", $hook, ".cases.yaml")),
        }
    };
}

macro_rules! plugin {
    ($folder:literal, $hooks:expr, $capabilities:expr) => {
        Plugin {
            hooks: &$hooks,
            capabilities: &$capabilities,
            manifest: include_str!(concat!("../rust/", $folder, "/manifest.yaml")),
            source: include_str!(concat!("../rust/", $folder, "/src/lib.rs")),
            cases: include_str!(concat!("../rust/", $folder, "/cases.yaml")),
        }
    };
}

/// A script for each hook.
pub const SCRIPTS: [Script; 10] = [
    script!("admit"),
    script!("guard"),
    script!("redact"),
    script!("route"),
    script!("attempt"),
    script!("on-error"),
    script!("guard-response"),
    script!("stream"),
    script!("price"),
    script!("complete"),
];

/// A plugin for each hook or for hooks that belong together.
pub const PLUGINS: [Plugin; 10] = [
    plugin!("admit", ["admit"], ["kv"]),
    plugin!("guard", ["guard"], []),
    plugin!("guard-stream", ["guard", "guard-response", "stream"], []),
    plugin!("redact", ["redact"], []),
    plugin!("route", ["route"], ["targets"]),
    plugin!("attempt", ["attempt"], []),
    plugin!("on-error", ["on-error"], []),
    plugin!("stream", ["guard-response", "stream"], []),
    plugin!("price", ["price"], []),
    plugin!("complete", ["complete"], ["telemetry"]),
];

/// The script that shows a hook.
#[must_use]
pub fn script(hook: &str) -> Option<Script> {
    SCRIPTS.into_iter().find(|script| script.hook == hook)
}

/// The plugin with these hooks. A guard of streamed replies must see whole ones too, so `stream` and `guard-response`
/// bring each other along.
#[must_use]
pub fn plugin(hooks: &[&str]) -> Option<Plugin> {
    let reply = ["guard-response", "stream"];
    let mut wanted: Vec<&str> = hooks.to_vec();
    if reply.iter().any(|hook| wanted.contains(hook)) {
        wanted.extend(reply);
    }
    let same = |plugin: &Plugin| {
        plugin.hooks.iter().all(|hook| wanted.contains(hook))
            && wanted.iter().all(|hook| plugin.hooks.contains(hook))
    };
    PLUGINS.into_iter().find(same)
}

impl Script {
    /// The files of a policy of this name: file name and text.
    #[must_use]
    pub fn files(&self, name: &str) -> Vec<(String, String)> {
        vec![
            (format!("{name}.rhai"), self.source.replace("{{name}}", name)),
            (format!("{name}.cases.yaml"), self.cases.to_owned()),
        ]
    }
}

impl Plugin {
    /// The files of a plugin of this name, below its folder.
    #[must_use]
    pub fn files(&self, name: &str, place: &Place) -> Vec<(String, String)> {
        let mut files = vec![
            ("Cargo.toml".into(), place.cargo().replace("{{name}}", name)),
            ("manifest.yaml".into(), self.manifest.replace("{{name}}", name)),
            ("src/lib.rs".into(), self.source.to_owned()),
            ("cases.yaml".into(), self.cases.to_owned()),
            ("README.md".into(), self.readme(name, place)),
            (".gitignore".into(), "/target\n".into()),
        ];
        if *place == Place::Alone {
            files.extend(sdk::files().map(|(path, text)| (format!("{}/{path}", sdk::FOLDER), text.into())));
        }
        files
    }

    fn readme(&self, name: &str, place: &Place) -> String {
        let hooks: Vec<String> = self.hooks.iter().map(|hook| format!("`{hook}`")).collect();
        let grants = match self.capabilities {
            [] => String::new(),
            capabilities => format!("\n    grants: [{}]", capabilities.join(", ")),
        };
        let text = include_str!("../rust/README.md").replace("{{name}}", name);
        let copy = match place {
            Place::Beside { .. } => "",
            Place::Alone => include_str!("../rust/copy.txt"),
        };
        text.replace("{{hooks}}", &hooks.join(", "))
            .replace("{{grants}}", &grants)
            .replace("{{copy}}\n", copy)
    }
}

impl Place {
    /// The `Cargo.toml` of a plugin there, but for its name.
    fn cargo(&self) -> String {
        let alone = include_str!("../rust/workspace.txt");
        let (sdk, workspace) = match self {
            Self::Beside { sdk, member: true } => (sdk.as_str(), String::new()),
            Self::Beside { sdk, member: false } => (sdk.as_str(), alone.to_owned()),
            // The copy is no part of what the author checks and formats.
            Self::Alone => (sdk::PATH, format!("{alone}exclude = [{:?}]\n", sdk::FOLDER)),
        };
        let text = include_str!("../rust/Cargo.toml.txt");
        text.replace("{{sdk}}", &format!("path = {sdk:?}")).replace("{{workspace}}\n", &workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_find_their_plugin() {
        let hooks = |wanted: &[&str]| plugin(wanted).map(|plugin| plugin.hooks.join(" "));
        assert_eq!(hooks(&["guard"]).as_deref(), Some("guard"));
        assert_eq!(hooks(&["stream", "guard"]).as_deref(), Some("guard guard-response stream"));
        assert_eq!(hooks(&["guard-response"]).as_deref(), Some("guard-response stream"));
        assert_eq!(hooks(&["price", "guard"]), None);
        assert_eq!(hooks(&[]), None);
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for place in [Place::Beside { sdk: "../sdk".into(), member: false }, Place::Alone] {
            let files = PLUGINS.iter().flat_map(|plugin| plugin.files("mine", &place));
            // Sources of the SDK have braces of their own.
            for (file, text) in files.filter(|(file, _)| !file.starts_with(sdk::FOLDER)) {
                assert!(!text.contains("{{"), "{file}: {text}");
            }
        }
        for (file, text) in SCRIPTS.iter().flat_map(|script| script.files("mine")) {
            assert!(!text.contains("{{"), "{file}: {text}");
        }
    }

    #[test]
    fn a_member_of_a_workspace_brings_none() {
        let cargo = |member| {
            let place = Place::Beside { sdk: "../../sdk/rust".into(), member };
            PLUGINS[0].files("mine", &place).swap_remove(0).1
        };
        assert!(cargo(false).contains("[workspace]") && !cargo(true).contains("[workspace]"));
        assert!(cargo(true).contains("weir-sdk = { path = \"../../sdk/rust\", features"));
        let alone = PLUGINS[0].files("mine", &Place::Alone).swap_remove(0).1;
        assert!(
            alone.contains("weir-sdk = { path = \"weir-sdk/rust\"")
                && alone.ends_with("exclude = [\"weir-sdk\"]\n")
        );
    }
}
