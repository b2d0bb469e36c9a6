//! Where in a body tools are declared.

use super::declared::{Declared, Space};
use crate::not_checked;
use serde::Deserialize;
use weir_sdk::{AccessError, Api, Deny, Request};

/// Longest list of declarations that is read.
const MAX_BYTES: u32 = 512 << 10;
/// Most objects in it, schemas included: each costs memory here.
const MAX_OBJECTS: usize = 65_536;
/// Most items of a Responses input that are looked through for more tools.
const MAX_ITEMS: u32 = 4_096;

/// Settings that turn on a tool of the provider's without declaring it: Chat's own and xAI's.
const SWITCHES: [&str; 2] = ["/web_search_options", "/search_parameters"];

/// Every tool that a request declares, namespaces opened.
pub(super) fn declared(request: &dyn Request) -> Result<Vec<Declared>, Deny> {
    let mut tools = Vec::new();
    for pointer in ["/tools", "/functions"] {
        open(read(request, pointer)?, &mut tools)?;
    }
    tools.extend(read::<Declared>(request, "/mcp_servers")?.into_iter().map(Declared::server));
    tools.extend(read::<Extra>(request, "/plugins")?.into_iter().map(Extra::declared));
    for pointer in SWITCHES {
        if is_there(request, pointer)? {
            tools.push(Declared::named("web_search"));
        }
    }
    if matches!(request.head().api, Api::Responses) {
        additional(request, &mut tools)?;
    }
    Ok(tools)
}

/// What OpenRouter calls a plugin.
#[derive(Deserialize)]
struct Extra {
    id: String,
}

impl Extra {
    fn declared(self) -> Declared {
        Declared::named(format!("plugin/{}", self.id))
    }
}

/// Responses takes tools among the items of its input as well. Items are looked at one by one, so that a long
/// conversation is not copied.
fn additional(request: &dyn Request, tools: &mut Vec<Declared>) -> Result<(), Deny> {
    for item in 0..MAX_ITEMS {
        let pointer = format!("/input/{item}");
        if !is_there(request, &pointer)? {
            return Ok(());
        }
        // A longer kind is another one.
        let kind = request.json(&format!("{pointer}/type"), 64).unwrap_or_default();
        let kind: Option<String> = kind.and_then(|json| serde_json::from_str(&json).ok());
        if kind.as_deref() == Some("additional_tools") {
            open(read(request, &format!("{pointer}/tools"))?, tools)?;
        }
    }
    Err(Deny::new(413, "tools_too_large", format!("This request has more than {MAX_ITEMS} items of input.")))
}

/// A namespace counts by its name and for the tools in it; one within another is not known to any dialect.
fn open(list: Vec<Declared<Space>>, tools: &mut Vec<Declared>) -> Result<(), Deny> {
    for tool in list {
        let (tool, inner) = tool.open();
        tools.push(tool);
        for tool in inner.unwrap_or_default() {
            let (tool, deeper) = tool.open();
            if deeper.is_some() {
                return Err(not_checked());
            }
            tools.push(tool);
        }
    }
    Ok(())
}

/// The list at a pointer; none is an empty one.
fn read<T: for<'de> Deserialize<'de>>(request: &dyn Request, pointer: &str) -> Result<Vec<T>, Deny> {
    let large =
        |what| Deny::new(413, "tools_too_large", format!("The tools of this request have more than {what}."));
    let json = match request.json(pointer, MAX_BYTES) {
        Ok(json) => json,
        Err(AccessError::Budget) => return Err(large(format!("{MAX_BYTES} bytes"))),
        Err(_) => return Err(not_checked()),
    };
    let objects = json.iter().flat_map(|json| json.bytes()).filter(|byte| *byte == b'{').count();
    if objects > MAX_OBJECTS {
        return Err(large(format!("{MAX_OBJECTS} parts")));
    }
    let list: Option<Vec<T>> =
        serde_json::from_str(json.as_deref().unwrap_or("null")).map_err(|_| not_checked())?;
    Ok(list.unwrap_or_default())
}

/// Whether there is something at a pointer that is not `null`. Nothing of it is copied.
fn is_there(request: &dyn Request, pointer: &str) -> Result<bool, Deny> {
    match request.json(pointer, 4) {
        Ok(json) => Ok(json.is_some_and(|json| json != "null")),
        Err(AccessError::Budget) => Ok(true),
        Err(_) => Err(not_checked()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::FakeRequest;

    fn names(request: FakeRequest) -> Vec<String> {
        let tools = declared(&request).unwrap();
        tools.iter().flat_map(Declared::names).collect()
    }

    fn responses() -> FakeRequest {
        FakeRequest::new().head(|head| head.api = Api::Responses)
    }

    #[test]
    fn every_place_is_looked_at() {
        let request = FakeRequest::new()
            .json("/tools", r#"[{"name":"a"},{"type":"function","function":{"name":"b"}}]"#)
            .json("/functions", r#"[{"name":"c"}]"#)
            .json("/mcp_servers", r#"[{"type":"url","url":"https://x","name":"d"}]"#)
            .json("/plugins", r#"[{"id":"web"}]"#)
            .json("/web_search_options", "{}");
        assert_eq!(names(request), ["a", "b", "c", "mcp/d", "plugin/web", "web_search"]);
    }

    #[test]
    fn what_is_absent_or_null_declares_nothing() {
        let request =
            responses().json("/tools", "null").json("/search_parameters", "null").json("/input", "\"hello\"");
        assert!(names(request).is_empty());
    }

    #[test]
    fn tools_among_the_items_of_an_input_count() {
        let request = responses()
            .json("/input/0", "{}")
            .json("/input/1", r#"{"type":"additional_tools"}"#)
            .json("/input/1/type", r#""additional_\u0074ools""#)
            .json(
                "/input/1/tools",
                r#"[{"type":"namespace","name":"crm","tools":[{"type":"function","name":"find"}]}]"#,
            )
            .json("/input/2", "{}");
        assert_eq!(names(request), ["crm", "find"]);
    }

    #[test]
    fn tools_that_cannot_be_read_do_not_pass() {
        let refused = |json: &str| declared(&FakeRequest::new().json("/tools", json)).unwrap_err();
        assert_eq!(refused(r#"[{"name":1}]"#).code, "not_checked");
        assert_eq!(refused(r#"{"name":"a"}"#).code, "not_checked");
        assert_eq!(refused(&format!("[{}]", vec!["{}"; 65_537].join(","))).code, "tools_too_large");
        assert_eq!(refused(&format!("[\"{}\"]", "x".repeat(512 << 10))).code, "tools_too_large");
        let nested = (0..3).fold("[]".to_owned(), |inner, _| format!(r#"[{{"name":"n","tools":{inner}}}]"#));
        assert_eq!(refused(&nested).code, "not_checked");
    }
}
