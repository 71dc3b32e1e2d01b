//! The only place that reads the environment; everything below takes values.

use std::path::PathBuf;

/// What the environment says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment;

impl Environment {
    /// A variable, unless it is unset, empty, or not UTF-8.
    #[allow(clippy::disallowed_methods, reason = "the binary's one door to the environment")]
    pub(crate) fn lookup(self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Whether colours are unwanted.
    pub(crate) fn no_color(self) -> bool {
        self.lookup("NO_COLOR").is_some() || self.lookup("TERM").as_deref() == Some("dumb")
    }

    /// What the machine is called.
    pub(crate) fn host(self) -> String {
        let system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        system.or_else(|| self.lookup("HOSTNAME")).unwrap_or_default()
    }

    /// Where the history of `chat` is kept.
    pub(crate) fn state_dir(self) -> Option<PathBuf> {
        let home = || self.lookup("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        self.lookup("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
            .or_else(home)
            .map(|p| p.join("gptneo"))
    }

    /// The store of runs: in `GPTNEO_HOME`, else in the platform's folder for data.
    pub(crate) fn runs_store(self) -> Option<PathBuf> {
        let data = || {
            let given = self.lookup("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || self.lookup("HOME").map(|home| PathBuf::from(home).join(".local/share"));
            given.or_else(home).map(|path| path.join("gptneo"))
        };
        self.lookup("GPTNEO_HOME").map(PathBuf::from).or_else(data).map(|path| path.join("runs.sqlite"))
    }
}
