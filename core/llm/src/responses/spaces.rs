//! Where a request declares its tools: at the top, in namespaces, and in items of the input. Only this dialect has the
//! last two, so every other gets plain tools, and calls find their namespace again on the way back.

use super::wire::{filled, kind, list, text};
use crate::json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The items of the input that declare tools.
pub(super) const ADDITIONAL: &str = "additional_tools";
const NAMESPACE: &str = "namespace";

/// All tools of a request.
#[derive(Default)]
pub(super) struct Toolbox<'a> {
    /// In order; hosted ones too.
    pub(super) all: Vec<Declared<'a>>,
    /// Tools that are called like others, by the path of each: they cannot be told.
    pub(super) clashing: Vec<(String, Value<'a>)>,
    /// Where in `all` a tool of a namespace stands, by namespace and own name.
    placed: HashMap<(Cow<'a, str>, Cow<'a, str>), usize>,
}

/// One tool.
pub(super) struct Declared<'a> {
    /// What other dialects know it by; `None` for one that is not called by name.
    pub(super) name: Option<Cow<'a, str>>,
    /// The declaration.
    pub(super) value: Value<'a>,
    /// The namespace that it stands in.
    space: Option<Cow<'a, str>>,
}

impl<'a> Toolbox<'a> {
    pub(super) fn of(root: Value<'a>) -> Self {
        let mut found = Vec::new();
        flatten(list(root, "tools"), None, &mut found);
        for item in list(root, "input").filter(|item| kind(*item) == ADDITIONAL) {
            flatten(list(item, "tools"), None, &mut found);
        }
        let plain = found.iter().filter(|(space, _)| space.is_none());
        // Nobody's own name makes room for one that can be called otherwise.
        let mut taken: HashSet<_> = plain.filter_map(|(_, tool)| called(*tool)).collect();
        let mut tools = Self::default();
        for (space, tool) in found {
            tools.add(space, tool, &mut taken);
        }
        tools
    }

    fn add(&mut self, space: Option<Cow<'a, str>>, tool: Value<'a>, taken: &mut HashSet<Cow<'a, str>>) {
        let own = called(tool);
        let (Some(place), Some(own)) = (&space, &own) else {
            self.all.push(Declared { name: own, value: tool, space: None });
            return;
        };
        let key = (place.clone(), own.clone());
        if let Some(known) = self.placed.get(&key).and_then(|at| self.all.get_mut(*at)) {
            // Declared anew: what was said last holds.
            known.value = tool;
            return;
        }
        let joined = || Cow::Owned(format!("{place}__{own}"));
        let free = [own.clone(), joined()].into_iter().find(|name| !taken.contains(name));
        let Some(name) = free else {
            self.clashing.push((format!("tools[{place}.{own}]"), tool));
            return;
        };
        taken.insert(name.clone());
        self.placed.insert(key, self.all.len());
        self.all.push(Declared { name: Some(name), value: tool, space });
    }

    /// What the tool that `object` names, perhaps in a namespace, is called elsewhere.
    pub(super) fn name_of(&self, object: Value<'a>) -> Option<Cow<'a, str>> {
        let own = text(object, "name")?;
        let Some(space) = filled(object, NAMESPACE) else { return Some(own) };
        let key = (space, own);
        let placed = self.placed.get(&key).and_then(|at| self.all.get(*at)?.name.clone());
        Some(placed.unwrap_or(key.1))
    }

    /// What the tools of a choice's list are called elsewhere: a namespace stands for all that it holds.
    pub(super) fn names_of(&self, object: Value<'a>) -> Vec<Cow<'a, str>> {
        if kind(object) != NAMESPACE {
            return self.name_of(object).into_iter().collect();
        }
        let space = text(object, "name");
        let inside = self.all.iter().filter(|tool| tool.space.is_some() && tool.space == space);
        inside.filter_map(|tool| tool.name.clone()).collect()
    }
}

/// Tools as they stand, each with the path of the namespace that it is in.
fn flatten<'a>(
    tools: impl Iterator<Item = Value<'a>>,
    space: Option<&Cow<'a, str>>,
    found: &mut Vec<(Option<Cow<'a, str>>, Value<'a>)>,
) {
    for tool in tools {
        if kind(tool) != NAMESPACE {
            found.push((space.cloned(), tool));
            continue;
        }
        let own = filled(tool, "name");
        let inner = match (space, own) {
            (Some(outer), Some(own)) => Some(Cow::Owned(format!("{outer}.{own}"))),
            (outer, own) => own.or_else(|| outer.cloned()),
        };
        flatten(list(tool, "tools"), inner.as_ref(), found);
    }
}

/// The name that a tool is called by.
fn called<'a>(tool: Value<'a>) -> Option<Cow<'a, str>> {
    matches!(kind(tool).as_ref(), "function" | "custom").then(|| text(tool, "name")).flatten()
}

/// The namespaces of a request's tools, for its reply: by the names that other dialects know.
#[derive(Debug, Clone, Default)]
pub(super) struct Spaces(HashMap<String, Home>);

/// Where a tool stands.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) space: String,
    /// Its name there.
    pub(super) name: String,
}

impl Spaces {
    pub(super) fn of(root: Value<'_>) -> Self {
        let all = Toolbox::of(root).all.into_iter();
        let homes = all.filter_map(|tool| {
            let home = Home { space: tool.space?.into_owned(), name: called(tool.value)?.into_owned() };
            Some((tool.name?.into_owned(), home))
        });
        Self(homes.collect())
    }

    /// A tool's own name, and the namespace that it stands in.
    pub(super) fn home<'n>(&'n self, name: &'n str) -> (&'n str, Option<&'n str>) {
        self.0.get(name).map_or((name, None), |home| (&home.name, Some(&home.space)))
    }
}
