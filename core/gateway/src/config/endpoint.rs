//! A base URL, taken apart once so that no request has to.

use std::fmt;

/// Where a provider or collector is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or IP address, without brackets: what is resolved, and what TLS verifies.
    pub host: String,
    /// The port, also where the URL leaves it out.
    pub port: u16,
    /// What stands before every path, without a slash at its end: `/v1`, or empty.
    pub prefix: String,
}

impl Endpoint {
    /// What stands in the `Host` header: the port only if it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let ip: Option<std::net::IpAddr> = self.host.parse().ok();
        self.host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
    }

    const fn default_port(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// Parses `http[s]://host[:port][/prefix]`.
pub(super) fn parse(text: &str) -> Result<Endpoint, String> {
    let (scheme, _) = text.split_once("://").ok_or("has no scheme: write `https://` before it")?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err("has an unknown scheme: `https` or `http`".to_owned()),
    };
    if text.contains(['?', '#']) {
        return Err("must have neither query nor fragment".to_owned());
    }
    let uri: http::Uri = text.parse().map_err(|_| "is not a URL".to_owned())?;
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must not hold a user or password: use `keys` or `headers`".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let port = match authority.as_str().strip_prefix(authority.host()) {
        Some("") => None,
        _ => Some(
            authority.port_u16().filter(|p| *p > 0).ok_or("has a port that is no number from 1 to 65535")?,
        ),
    };
    if host.is_empty() {
        return Err("has no host".to_owned());
    }
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok(Endpoint { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }), prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart_and_puts_them_together_again() {
        for (url, host, port, prefix, again) in [
            ("https://api.openai.com/v1/", "api.openai.com", 443, "/v1", "https://api.openai.com/v1"),
            ("http://LOCALHOST:80", "localhost", 80, "", "http://localhost"),
            ("https://[::1]:8443/a/b", "::1", 8443, "/a/b", "https://[::1]:8443/a/b"),
        ] {
            let e = parse(url).unwrap();
            assert_eq!((e.host.as_str(), e.port, e.prefix.as_str()), (host, port, prefix), "{url}");
            assert_eq!(e.to_string(), again);
        }
        for bad in [
            "api.openai.com",
            "ftp://x",
            "https://",
            "https://u:p@x/",
            "http://x:0",
            "http://x:99999",
            "http://x/?q",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
