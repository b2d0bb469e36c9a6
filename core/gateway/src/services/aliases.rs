//! Whether a manifest's aliases are there.

use weir_policy::{LoadError, Manifest, nearest};

/// Refuses a policy that would call where the operator lists nothing; `file` names it in the error, `listed` are the
/// aliases of the config.
///
/// # Errors
/// The first alias that is not there, with the nearest one that is.
pub fn check_aliases(file: &str, manifest: &Manifest, listed: &[String]) -> Result<(), LoadError> {
    let Some(missing) = manifest.http.iter().find(|name| !listed.contains(name)) else {
        return Ok(());
    };
    let error = LoadError::new(file, format!("`http` names `{missing}`, which the config does not list"));
    let hint = match nearest(missing, listed.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `{missing}: {{ base_url: … }}` to `http:` in weir.yaml"),
    };
    Err(error.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(aliases: &str) -> Result<(), LoadError> {
        let manifest =
            format!("name: g\nversion: 1.0.0\nhooks: [guard]\ncapabilities: [http]\nhttp: {aliases}\n");
        check_aliases(
            "g.rhai",
            &Manifest::parse_yaml(&manifest, "g.rhai").unwrap(),
            &["moderation".to_owned()],
        )
    }

    #[test]
    fn an_alias_that_is_not_listed_is_refused_with_the_nearest() {
        check("[moderation]").unwrap();
        check("[]").unwrap();
        let error = check("[moderation, moderaton]").unwrap_err();
        assert!(error.message.contains("`moderaton`"), "{}", error.message);
        assert_eq!(error.hint.as_deref(), Some("did you mean `moderation`?"));
        let error = check("[siem]").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("add `siem: { base_url: … }` to `http:` in weir.yaml"));
    }
}
