//! What the environment says, by the names that `huggingface_hub` reads.

use std::{fmt, path::PathBuf};

/// Where the cache is, and whom to ask for what it lacks.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of `models--org--name`. `None` where no variable says and there is no home.
    pub cache: Option<PathBuf>,
    /// Ask nobody.
    pub offline: bool,
    /// Without a slash at its end.
    pub endpoint: String,
    pub token: Option<String>,
    /// A file of PEM certificates that are trusted in place of the ones compiled in.
    pub certificates: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache: None, offline: true, endpoint: ENDPOINT.to_owned(), token: None, certificates: None }
    }
}

const ENDPOINT: &str = "https://huggingface.co";

impl Settings {
    /// From the process's environment.
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// From variables: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`; `HF_HUB_OFFLINE`,
    /// `TRANSFORMERS_OFFLINE`; `HF_ENDPOINT`; `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, the file `HF_TOKEN_PATH` or
    /// `HF_HOME/token`; `SSL_CERT_FILE`.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let folder = |name: &str| given(name).map(|path| expand(&path, given("HOME").as_deref()));
        let caches = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        let home = folder("HF_HOME").or_else(|| caches.map(|caches| caches.join("huggingface")));
        let hub = || home.as_ref().map(|home| home.join("hub"));
        let token_file = folder("HF_TOKEN_PATH").or_else(|| home.as_ref().map(|home| home.join("token")));
        let stored = || {
            let text = std::fs::read_to_string(token_file.as_ref()?).ok()?;
            Some(text.trim().to_owned()).filter(|t| !t.is_empty())
        };
        let is_true = |name: &str| {
            given(name).is_some_and(|v| matches!(v.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
        };
        Self {
            cache: folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE")).or_else(hub),
            offline: is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
            endpoint: given("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()).trim_end_matches('/').to_owned(),
            token: given("HF_TOKEN").or_else(|| given("HUGGING_FACE_HUB_TOKEN")).or_else(stored),
            certificates: folder("SSL_CERT_FILE"),
        }
    }
}

/// A leading `~` is the home.
fn expand(path: &str, home: Option<&str>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => PathBuf::from(format!("{home}{rest}")),
        _ => PathBuf::from(path),
    }
}

impl fmt::Debug for Settings {
    /// A token is never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("certificates", &self.certificates)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Settings {
        Settings::of(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_cache_is_where_other_tools_have_it() {
        let all = [
            ("HF_HUB_CACHE", "/cache"),
            ("HUGGINGFACE_HUB_CACHE", "/old"),
            ("HF_HOME", "~/hf"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/home/me"),
        ];
        for (first, expected) in
            ["/cache", "/old", "/home/me/hf/hub", "/xdg/huggingface/hub", "/home/me/.cache/huggingface/hub"]
                .iter()
                .enumerate()
        {
            assert_eq!(of(&all[first..]).cache, Some(PathBuf::from(expected)));
        }
        assert_eq!(of(&[]).cache, None);
        assert_eq!(of(&[("HF_HUB_CACHE", ""), ("HOME", "/h")]).cache, Some("/h/.cache/huggingface/hub".into()));
    }

    #[test]
    fn offline_endpoint_and_token() {
        for (value, offline) in [("1", true), ("true", true), ("YES", true), ("0", false), ("", false)] {
            assert_eq!(of(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert_eq!(of(&[("HF_ENDPOINT", "http://127.0.0.1:1/")]).endpoint, "http://127.0.0.1:1");
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let path = home.path().to_str().unwrap();
        assert_eq!(of(&[("HF_HOME", path)]).token.as_deref(), Some("hf_file"));
        let both = of(&[("HF_HOME", path), ("HF_TOKEN", "hf_env")]);
        assert_eq!(both.token.as_deref(), Some("hf_env"));
        assert!(!format!("{both:?}").contains("hf_env"));
    }
}
