//! The operator's config: an action for each class, with exceptions.

use crate::action::Action;
use crate::class::Class;
use crate::detect::Leave;
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_sdk::{Direction, Role};

/// Actions by class; what is not in it is decided elsewhere.
type Actions = BTreeMap<Class, Action>;

/// The config as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    default: Option<Action>,
    classes: Actions,
    request: Actions,
    reply: Actions,
    roles: BTreeMap<Author, Actions>,
    tool_args: BTreeMap<String, Actions>,
    tenants: BTreeMap<String, Rules>,
    leave: Vec<Range>,
}

/// What may be said for everybody and for one organisation.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    default: Option<Action>,
    classes: Actions,
    request: Actions,
    reply: Actions,
    roles: BTreeMap<Author, Actions>,
    tool_args: BTreeMap<String, Actions>,
}

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Author {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// Addresses that can be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Range {
    Private,
    Documentation,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) direction: Direction,
    pub(crate) role: Role,
    /// The name of the tool's argument, if it is one.
    pub(crate) argument: Option<&'a str>,
}

/// What is done with what is found where.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    tenants: BTreeMap<String, Rules>,
    leave: Leave,
}

impl Policy {
    /// Reads the config.
    ///
    /// # Errors
    /// What does not fit, with line and column; an unknown organisation cannot be told from a misspelt one.
    pub fn parse(config: weir_sdk::Config<'_>) -> Result<Self, String> {
        let file: File = config.parse()?;
        let has = |range| file.leave.contains(&range);
        let leave = Leave { private: has(Range::Private), documentation: has(Range::Documentation) };
        if let Some(name) = file.tenants.keys().find(|name| name.trim().is_empty()) {
            return Err(format!("`tenants` has an organisation without a name ({name:?}); write its id"));
        }
        let File { default, classes, request, reply, roles, tool_args, tenants, .. } = file;
        Ok(Self { rules: Rules { default, classes, request, reply, roles, tool_args }, tenants, leave })
    }

    /// What to do with a value: what the organisation's own rules say, else what everybody's say; in each what is said of the
    /// argument, else of the role, of the direction, of the class, of all classes.
    pub(crate) fn action(&self, class: Class, place: &Place<'_>) -> Action {
        let own = self.tenants.get(place.tenant).and_then(|rules| rules.action(class, place));
        own.or_else(|| self.rules.action(class, place)).unwrap_or(Action::Vault)
    }

    pub(crate) const fn leave(&self) -> Leave {
        self.leave
    }

    /// Whether it matters who asks.
    pub(crate) fn knows_tenants(&self) -> bool {
        !self.tenants.is_empty()
    }

    /// Whether it matters in which argument of a tool a value is.
    pub(crate) fn knows_arguments(&self) -> bool {
        std::iter::once(&self.rules).chain(self.tenants.values()).any(|rules| !rules.tool_args.is_empty())
    }
}

impl Rules {
    fn action(&self, class: Class, place: &Place<'_>) -> Option<Action> {
        let of = |actions: &Actions| actions.get(&class).copied();
        let direction = match place.direction {
            Direction::Request => &self.request,
            Direction::Reply => &self.reply,
        };
        place
            .argument
            .and_then(|name| self.tool_args.get(name))
            .and_then(of)
            .or_else(|| self.roles.get(&author(place.role)).and_then(of))
            .or_else(|| of(direction))
            .or_else(|| of(&self.classes))
            .or(self.default)
    }
}

const fn author(role: Role) -> Author {
    match role {
        Role::System => Author::System,
        Role::Developer => Author::Developer,
        Role::User => Author::User,
        Role::Assistant => Author::Assistant,
        Role::Tool => Author::Tool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::Config;

    fn place(tenant: &'static str, role: Role, argument: Option<&'static str>) -> Place<'static> {
        let direction = if role == Role::Assistant { Direction::Reply } else { Direction::Request };
        Place { tenant, direction, role, argument }
    }

    #[test]
    fn the_nearest_rule_wins() {
        let config = r#"{
            "default": "hash", "classes": { "email": "mask" }, "request": { "email": "drop" }, "reply": { "card": "off" },
            "roles": { "system": { "email": "off" } }, "tool_args": { "to": { "email": "report" } },
            "tenants": { "acme": { "classes": { "email": "refuse" }, "tool_args": { "to": { "phone": "off" } } } }
        }"#;
        let policy = Policy::parse(Config::new(config)).expect("a config");
        let asked = |class, tenant, role, argument| policy.action(class, &place(tenant, role, argument));
        let cases = [
            (asked(Class::Iban, "", Role::User, None), Action::Hash),
            (asked(Class::Email, "", Role::User, None), Action::Drop),
            (asked(Class::Email, "", Role::Assistant, None), Action::Mask),
            (asked(Class::Card, "", Role::Assistant, None), Action::Off),
            (asked(Class::Email, "", Role::System, None), Action::Off),
            (asked(Class::Email, "", Role::Assistant, Some("to")), Action::Report),
            (asked(Class::Email, "", Role::Assistant, Some("cc")), Action::Mask),
            (asked(Class::Email, "acme", Role::System, None), Action::Refuse),
            (asked(Class::Phone, "acme", Role::Assistant, Some("to")), Action::Off),
            (asked(Class::Card, "acme", Role::Assistant, None), Action::Off),
        ];
        for (index, (action, expected)) in cases.into_iter().enumerate() {
            assert_eq!(action, expected, "case {index}");
        }
    }

    #[test]
    fn without_config_everything_is_vaulted() {
        let policy = Policy::parse(Config::EMPTY).expect("a config");
        for class in Class::ALL {
            assert_eq!(policy.action(class, &place("acme", Role::User, Some("to"))), Action::Vault);
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let cases = [
            (r#"{"classes": {"emial": "mask"}}"#, "emial"),
            (r#"{"classes": {"email": "blur"}}"#, "blur"),
            (r#"{"roles": {"model": {}}}"#, "model"),
            (r#"{"leave": ["loopback"]}"#, "loopback"),
            (r#"{"tenants": {"acme": {"leave": []}}}"#, "leave"),
            (r#"{"tenants": {" ": {}}}"#, "write its id"),
            (r#"{"masks": {}}"#, "masks"),
        ];
        for (config, said) in cases {
            let error = Policy::parse(Config::new(config)).expect_err(config);
            assert!(error.contains(said), "{config}: {error}");
        }
    }
}
