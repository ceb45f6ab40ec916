//! Who may ask: only pages of this server, by a name this server goes by.
//!
//! A page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding) or send requests with
//! its own origin; both carry a `Host` or `Origin` that is not ours.

use axum::http::{HeaderMap, HeaderName, header};
use std::net::{IpAddr, SocketAddr};

/// Names the server goes by.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
    port: u16,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, further: Vec<String>) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"]
            .map(str::to_owned)
            .into();
        hosts.push(match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        hosts.extend(further.into_iter().map(|host| host.to_ascii_lowercase()));
        Self {
            hosts,
            port: address.port(),
        }
    }

    /// `Host` must be there and ours; `Origin`, where there is one, must be ours too.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let host = single(headers, header::HOST).ok_or("the request has no usable Host")?;
        if !self.is_own(host) {
            return Err("this server does not go by that name; see --allow-host");
        }
        if headers.contains_key(header::ORIGIN) {
            let origin = single(headers, header::ORIGIN).unwrap_or_default();
            let authority = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            if !authority.is_some_and(|authority| self.is_own(authority)) {
                return Err("requests from other sites are refused");
            }
        }
        Ok(())
    }

    /// A host allowed by name may be reached through any port: a proxy has its own.
    fn is_own(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().ok()),
            _ => (authority.as_str(), Some(80)),
        };
        let known = self.hosts.iter().position(|name| name == host);
        match known {
            Some(place) => port == Some(self.port) || (place >= 4 && port.is_some()),
            None => false,
        }
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_pass() {
        let guard = Guard::new(
            ([127, 0, 0, 1], 8080).into(),
            vec!["Lab.example".to_owned()],
        );
        let passes = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            guard.check(&headers).is_ok()
        };
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "lab.example",
            "lab.example:443",
        ] {
            assert!(passes(host, None), "{host}");
        }
        for host in [
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:81",
            "127.0.0.1.evil.example:8080",
            "",
            "localhost:8080:8080",
            "[::1]",
        ] {
            assert!(!passes(host, None), "{host}");
        }
        assert!(passes("localhost:8080", Some("http://localhost:8080")));
        assert!(passes("localhost:8080", Some("http://127.0.0.1:8080")));
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost:81",
            "file://",
            "http://localhost:8080.evil.example",
        ] {
            assert!(!passes("localhost:8080", Some(origin)), "{origin}");
        }
        assert!(guard.check(&HeaderMap::new()).is_err());
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost:8080".parse().unwrap());
        twice.append(header::HOST, "localhost:8080".parse().unwrap());
        assert!(guard.check(&twice).is_err());
    }
}
