//! The URLs we go to: http(s), with a host, without a user.

use ureq::http::Uri;

/// A parsed absolute URL. The fragment is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    https: bool,
    /// Lower case; an IPv6 address keeps its brackets.
    host: String,
    port: u16,
    /// Path and query, beginning with `/`.
    rest: String,
}

impl Location {
    /// `None` unless it is an http(s) URL that names a host and no user.
    pub(crate) fn parse(text: &str) -> Option<Location> {
        let uri: Uri = text.split('#').next()?.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        // `host:` and `host:99999` parse as an authority without a port.
        let after_host = &authority.as_str()[authority.host().len()..];
        if !after_host.is_empty() && authority.port_u16().is_none_or(|p| p == 0) {
            return None;
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        let rest = uri.path_and_query().map_or("/", |p| p.as_str());
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Some(Location { https, host: authority.host().to_ascii_lowercase(), port, rest })
    }

    /// Resolves what a `Location` header says (RFC 3986, 5.2, without removing dot segments: servers do that).
    pub(crate) fn join(&self, reference: &str) -> Option<Location> {
        let reference = reference.trim();
        let scheme = if self.https { "https" } else { "http" };
        if reference.starts_with("//") {
            return Location::parse(&format!("{scheme}:{reference}"));
        }
        let is_absolute = reference.split_once(':').is_some_and(|(head, _)| !head.contains(['/', '?', '#']));
        if is_absolute {
            return Location::parse(reference);
        }
        let path = self.rest.split('?').next().unwrap_or("/");
        let rest = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            format!("{path}{reference}")
        } else {
            format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
        };
        Location::parse(&format!("{scheme}://{}:{}{rest}", self.host, self.port))
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Scheme, host and port: what a token belongs to.
    pub(crate) fn same_origin(&self, other: &Location) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    pub(crate) fn is_plain_base(&self) -> bool {
        !self.rest.contains('?')
    }

    /// Host and port, for messages.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// For messages: a query may hold a signature, so it is left out.
    pub(crate) fn shown(&self) -> String {
        let url = self.url();
        crate::id::shorten(url.split('?').next().unwrap_or_default())
    }

    pub(crate) fn url(&self) -> String {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        if self.port == usual {
            format!("{scheme}://{}{}", self.host, self.rest)
        } else {
            format!("{scheme}://{}:{}{}", self.host, self.port, self.rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_servers_mean_it() {
        let base = Location::parse("http://Host:81/a/b?c").unwrap();
        for (reference, url) in [
            ("/x?y", "http://host:81/x?y"),
            ("x", "http://host:81/a/x"),
            ("?q", "http://host:81/a/b?q"),
            ("//other/x", "http://other/x"),
            ("https://other:444/x#f", "https://other:444/x"),
            ("http://[::1]:9/", "http://[::1]:9/"),
            ("/a:b", "http://host:81/a:b"),
        ] {
            assert_eq!(base.join(reference).map(|l| l.url()).as_deref(), Some(url), "{reference}");
        }
    }

    #[test]
    fn refuses_what_is_not_plain_http() {
        let base = Location::parse("http://host/").unwrap();
        for reference in [
            "file:///etc/passwd",
            "ftp://x/",
            "gopher://x/",
            "javascript:1",
            "data:,x",
            "http://",
            "http:///x",
            "http://user@x/",
            "http://u:p@127.0.0.1/",
            "http://x:99999/",
            "http://x:/",
            "http://x:0/",
            "http://a b/",
            "https:/x\0",
            "//u@x/",
        ] {
            assert_eq!(base.join(reference), None, "{reference}");
        }
    }

    #[test]
    fn hides_signatures_in_messages() {
        assert_eq!(
            Location::parse("https://cdn.example/x?X-Amz-Signature=s").unwrap().shown(),
            "https://cdn.example/x"
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let at = |url| Location::parse(url).unwrap();
        assert!(at("https://A.example/x").same_origin(&at("https://a.example:443/y")));
        for other in ["http://a.example/", "https://a.example:444/", "https://b.example/", "https://x.a.example/"] {
            assert!(!at("https://a.example/").same_origin(&at(other)), "{other}");
        }
    }
}
