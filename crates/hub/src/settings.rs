//! Where the hub is, where the cache is, and who asks: as plain values.
//!
//! [`HubSettings::from_lookup`] resolves the variables that the Python tools read, so that both use one cache and one
//! token. The lookup is the caller's: this crate never reads the environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::HubError;
use crate::location::Location;
use crate::retry::Retry;
use crate::token::Token;

const ENDPOINT: &str = "https://huggingface.co";

/// Everything a [`Hub`](crate::Hub) needs to know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubSettings {
    /// The folder that holds `models--OWNER--NAME` folders.
    pub cache: PathBuf,
    /// `http(s)://HOST[:PORT][/PATH]`, without a slash at the end.
    pub endpoint: String,
    /// Sent to the endpoint alone.
    pub token: Option<Token>,
    /// Never touch the network.
    pub offline: bool,
    /// Proxies, by the scheme of the URL asked for.
    pub proxies: Proxies,
    /// A PEM file of certificates to trust instead of Mozilla's.
    pub certificates: Option<PathBuf>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest silence on a connection.
    pub read_timeout: Duration,
    /// When to try again.
    pub retry: Retry,
    /// How we name ourselves to servers.
    pub user_agent: String,
}

/// Proxies as `http_proxy`, `https_proxy` and `no_proxy` give them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` URLs.
    pub http: Option<String>,
    /// For `https:` URLs.
    pub https: Option<String>,
    /// Hosts reached directly: a name stands for itself and all below it, `*` for every host.
    pub none_for: Vec<String>,
}

impl HubSettings {
    /// The public hub, no token, this cache folder.
    pub fn new(cache: impl Into<PathBuf>) -> HubSettings {
        HubSettings {
            cache: cache.into(),
            endpoint: ENDPOINT.to_owned(),
            token: None,
            offline: false,
            proxies: Proxies::default(),
            certificates: None,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            retry: Retry::default(),
            user_agent: concat!("gptneo/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Reads, through `lookup`, the variables that `huggingface_hub` reads, with its precedence: `HF_HUB_CACHE`,
    /// `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME` (or `USERPROFILE`); `HF_ENDPOINT`; `HF_TOKEN`,
    /// `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH` or `HF_HOME/token`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`;
    /// `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`; `HF_HUB_DOWNLOAD_TIMEOUT` (seconds); `http_proxy`, `https_proxy`,
    /// `all_proxy`, `no_proxy` in either case; `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`. Empty counts as unset.
    ///
    /// # Errors
    /// [`HubError::BadSetting`] when there is no home and no cache named, or a value makes no sense.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<HubSettings, HubError> {
        let first = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|v| !v.trim().is_empty()));
        let user = first(&["HOME", "USERPROFILE"]);
        let path = |value: String| expand(&value, user.as_deref(), &lookup);
        let home = match first(&["HF_HOME"]) {
            Some(home) => Some(path(home)),
            None => first(&["XDG_CACHE_HOME"])
                .map(path)
                .or_else(|| user.as_ref().map(|u| Path::new(u).join(".cache")))
                .map(|cache| cache.join("huggingface")),
        };
        let named = first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map(path);
        let Some(cache) = named.or_else(|| home.as_ref().map(|h| h.join("hub"))) else {
            let why =
                "none of HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME and HOME is set; name a folder for the cache".to_owned();
            return Err(HubError::BadSetting { name: "HF_HOME", why });
        };

        let mut settings = HubSettings::new(cache);
        if let Some(endpoint) = first(&["HF_ENDPOINT"]) {
            settings.endpoint = endpoint.trim().trim_end_matches('/').to_owned();
        }
        settings.offline = first(&["HF_HUB_OFFLINE"]).or_else(|| first(&["TRANSFORMERS_OFFLINE"])).is_some_and(is_true);
        settings.token = match first(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
            Some(text) => Token::new(&text).map_err(|why| bad("HF_TOKEN", why))?,
            None if first(&["HF_HUB_DISABLE_IMPLICIT_TOKEN"]).is_some_and(is_true) => None,
            None => match first(&["HF_TOKEN_PATH"]).map(path).or_else(|| home.map(|h| h.join("token"))) {
                Some(file) => token_file(&file)?,
                None => None,
            },
        };
        if let Some(text) = first(&["HF_HUB_DOWNLOAD_TIMEOUT"]) {
            let seconds = text.trim().parse().ok().filter(|s| (1..=86_400).contains(s));
            let seconds =
                seconds.ok_or_else(|| bad("HF_HUB_DOWNLOAD_TIMEOUT", "wanted a number of seconds from 1 to 86400"))?;
            settings.read_timeout = Duration::from_secs(seconds);
        }
        let any = first(&["all_proxy", "ALL_PROXY"]);
        settings.proxies = Proxies {
            // HTTP_PROXY in capitals is a request header in CGI programs; curl ignores it, Python does not unless in CGI.
            http: first(&["http_proxy", "HTTP_PROXY"]).or_else(|| any.clone()),
            https: first(&["https_proxy", "HTTPS_PROXY"]).or(any),
            none_for: first(&["no_proxy", "NO_PROXY"])
                .map(|list| list.split(',').map(|h| h.trim().to_ascii_lowercase()).filter(|h| !h.is_empty()).collect())
                .unwrap_or_default(),
        };
        settings.certificates = first(&["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]).map(path);
        settings.check()?;
        Ok(settings)
    }

    /// What [`Hub::new`](crate::Hub::new) insists on.
    pub(crate) fn check(&self) -> Result<(), HubError> {
        if Location::parse(&self.endpoint).is_none_or(|l| !l.is_plain_base() || self.endpoint.contains('#'))
            || self.endpoint.ends_with('/')
        {
            let why = format!("`{}` is not an endpoint; wanted something like {ENDPOINT}", self.endpoint);
            return Err(HubError::BadSetting { name: "HF_ENDPOINT", why });
        }
        for (name, proxy) in [("HTTP_PROXY", &self.proxies.http), ("HTTPS_PROXY", &self.proxies.https)] {
            let Some(proxy) = proxy else { continue };
            let scheme = proxy.split_once("://").map_or("http", |(scheme, _)| scheme);
            // The address is not repeated: it may hold a password.
            if !matches!(scheme, "http" | "https") || ureq::Proxy::new(proxy).is_err() {
                return Err(bad(
                    name,
                    "not a proxy that can be used; wanted http://[USER:PASSWORD@]HOST:PORT (socks is not spoken)",
                ));
            }
        }
        Ok(())
    }
}

impl Proxies {
    /// The proxy for a URL, if it is not reached directly.
    pub(crate) fn of(&self, location: &Location) -> Option<&str> {
        let proxy = if location.is_https() { self.https.as_deref() } else { self.http.as_deref() }?;
        let host = location.host().trim_matches(['[', ']']);
        let direct = self.none_for.iter().any(|entry| {
            let name = entry.trim_start_matches("*.").trim_start_matches('.').trim_matches(['[', ']']);
            entry == "*"
                || host == name
                || host.strip_suffix(name).is_some_and(|rest| !name.is_empty() && rest.ends_with('.'))
        });
        (!direct).then_some(proxy)
    }
}

fn bad(name: &'static str, why: &str) -> HubError {
    HubError::BadSetting { name, why: why.to_owned() }
}

fn is_true(text: String) -> bool {
    matches!(text.trim().to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

fn token_file(file: &Path) -> Result<Option<Token>, HubError> {
    match fs::read_to_string(file) {
        Ok(text) => Token::new(&text).map_err(|why| bad("HF_TOKEN_PATH", &format!("{}: {why}", file.display()))),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(HubError::io(file, "read the token", error)),
    }
}

/// Replaces a leading `~` and every `$NAME` or `${NAME}` that is set; others stay as they are.
fn expand(text: &str, home: Option<&str>, lookup: &impl Fn(&str) -> Option<String>) -> PathBuf {
    let mut text = text.trim().to_owned();
    if let (Some(home), Some(rest)) = (home, text.strip_prefix('~'))
        && (rest.is_empty() || rest.starts_with('/'))
    {
        text = format!("{home}{rest}");
    }
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|a| a.split_once('}'));
        let (name, tail) = braced.unwrap_or_else(|| {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at(end)
        });
        match lookup(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..rest.len() - tail.len()]),
        }
        rest = tail;
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<HubSettings, HubError> {
        HubSettings::from_lookup(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn finds_the_cache_as_python_does() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/hub"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/f")], "/f/hub"),
            (&[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new"),
            (&[("HOME", "/h"), ("HF_HOME", "~/f")], "/h/f/hub"),
            (&[("HOME", "/h"), ("D", "/d"), ("HF_HOME", "$D/${D}x$NO/${NO}")], "/d//dx$NO/${NO}/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "")], "/h/.cache/huggingface/hub"),
        ] {
            assert_eq!(settings(variables).unwrap().cache, Path::new(cache), "{variables:?}");
        }
        assert!(matches!(settings(&[]), Err(HubError::BadSetting { name: "HF_HOME", .. })));
    }

    #[test]
    fn finds_the_token_as_python_does() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let of =
            |more: &[(&str, &str)]| settings(&[&[("HF_HOME", home)], more].concat()).unwrap().token.map(|t| t.bearer());
        assert_eq!(of(&[]), None);
        fs::write(folder.path().join("token"), "from_file\n").unwrap();
        assert_eq!(of(&[]).as_deref(), Some("Bearer from_file"));
        assert_eq!(of(&[("HF_TOKEN", " direct\n")]).as_deref(), Some("Bearer direct"));
        assert_eq!(of(&[("HUGGING_FACE_HUB_TOKEN", "old")]).as_deref(), Some("Bearer old"));
        assert_eq!(of(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        let elsewhere = folder.path().join("mine");
        fs::write(&elsewhere, "mine").unwrap();
        assert_eq!(of(&[("HF_TOKEN_PATH", elsewhere.to_str().unwrap())]).as_deref(), Some("Bearer mine"));
        assert!(settings(&[("HOME", "/h"), ("HF_TOKEN", "a\nb")]).is_err());
    }

    #[test]
    fn reads_switches_and_endpoint() {
        for (value, offline) in [("1", true), ("true", true), ("YES", true), ("on", true), ("0", false), ("no", false)]
        {
            assert_eq!(settings(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).unwrap().offline, offline, "{value}");
        }
        assert!(settings(&[("HOME", "/h"), ("TRANSFORMERS_OFFLINE", "1")]).unwrap().offline);
        let endpoint = |value| settings(&[("HOME", "/h"), ("HF_ENDPOINT", value)]).map(|s| s.endpoint);
        assert_eq!(endpoint("https://mirror.example/hf/").unwrap(), "https://mirror.example/hf");
        assert_eq!(endpoint("http://127.0.0.1:8080").unwrap(), "http://127.0.0.1:8080");
        for bad in [
            "mirror",
            "ftp://x",
            "file:///etc",
            "https://",
            "https://u:p@x",
            "http://x/?q",
            "http://x y",
            "http://x/#a",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_timeouts_and_proxies() {
        let read = settings(&[
            ("HOME", "/h"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
            ("ALL_PROXY", "http://any:1"),
            ("https_proxy", "http://u:p@tls:2"),
            ("NO_PROXY", "localhost, .corp.example,10.0.0.1"),
        ])
        .unwrap();
        assert_eq!(read.read_timeout, Duration::from_secs(7));
        let proxy = |url: &str| read.proxies.of(&Location::parse(url).unwrap());
        assert_eq!(proxy("http://x.example/"), Some("http://any:1"));
        assert_eq!(proxy("https://x.example/"), Some("http://u:p@tls:2"));
        for direct in ["http://localhost:8/", "http://a.corp.example/", "https://corp.example/", "http://10.0.0.1/"] {
            assert_eq!(proxy(direct), None, "{direct}");
        }
        assert!(proxy("http://evilcorp.example/").is_some());
        for (name, value) in
            [("HF_HUB_DOWNLOAD_TIMEOUT", "0"), ("HF_HUB_DOWNLOAD_TIMEOUT", "x"), ("https_proxy", "socks5://x:1")]
        {
            assert!(settings(&[("HOME", "/h"), (name, value)]).is_err(), "{name}={value}");
        }
    }
}
