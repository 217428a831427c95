//! `hf:org/name[@revision]`, and `hf:datasets/org/name[@revision]/path/to/file`.

use std::fmt;

use crate::HubError;

/// What a name of the Hub begins with.
pub const PREFIX: &str = "hf:";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Model,
    Dataset,
}

impl Kind {
    /// The Hub's word for many of them: in its API, and in the names of the cache's folders.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        }
    }
}

/// A repository of the Hub, at a revision, and perhaps one file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub kind: Kind,
    /// `org/name`, or `name` for the oldest models.
    pub repository: String,
    /// A branch, a tag or a commit; `main` unless told.
    pub revision: Option<String>,
    /// A path inside the repository.
    pub file: Option<String>,
}

impl Reference {
    /// Whether `text` is such a name at all.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// # Errors
    /// [`HubError::BadReference`]
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let bad = |reason: &'static str| HubError::BadReference { text: text.to_owned(), reason };
        let name = text.strip_prefix(PREFIX).ok_or_else(|| bad("it does not begin with `hf:`"))?;
        let name = name.strip_prefix("//").unwrap_or(name);
        match name.strip_prefix("datasets/") {
            None => {
                let (repository, revision) = at(name);
                let parts = repository.split('/').count();
                if parts > 2 {
                    return Err(bad("a model is `hf:org/name` or `hf:org/name@revision`"));
                }
                Self { kind: Kind::Model, repository, revision, file: None }.checked(text)
            }
            Some(rest) => {
                let mut parts = rest.splitn(3, '/');
                let (Some(org), Some(name)) = (parts.next(), parts.next()) else {
                    return Err(bad("a data file is `hf:datasets/org/name/path/to/file`"));
                };
                let (mut name, mut revision) = at(name);
                let mut file = parts.next().filter(|f| !f.is_empty()).map(str::to_owned);
                // A revision may stand behind the name, or behind the file.
                if let (None, Some((path, behind))) = (&revision, file.as_deref().and_then(|f| f.rsplit_once('@'))) {
                    (file, revision) = (Some(path.to_owned()), Some(behind.to_owned()));
                }
                name.insert_str(0, &format!("{org}/"));
                Self { kind: Kind::Dataset, repository: name, revision, file }.checked(text)
            }
        }
    }

    fn checked(self, text: &str) -> Result<Self, HubError> {
        let bad = |reason: &'static str| HubError::BadReference { text: text.to_owned(), reason };
        // What the Hub allows in names: no path can be made of them, and no folder of the cache holds another.
        let is_name = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.chars().all(allowed) && !part.starts_with('.') && !part.contains("--")
        };
        if !self.repository.split('/').all(is_name) {
            return Err(bad("organisation and name are letters, digits, `-`, `_` and `.`"));
        }
        let leaves = |path: &str| path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\');
        if self.revision.as_deref().is_some_and(leaves) {
            return Err(bad("a revision is a branch, a tag or a commit"));
        }
        if self.file.as_deref().is_some_and(leaves) {
            return Err(bad("the file must be a path inside the repository"));
        }
        Ok(self)
    }

    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }
}

fn at(name: &str) -> (String, Option<String>) {
    match name.split_once('@') {
        Some((name, revision)) => (name.to_owned(), Some(revision.to_owned())),
        None => (name.to_owned(), None),
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        if self.kind == Kind::Dataset {
            f.write_str("datasets/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(revision) = &self.revision {
            write!(f, "@{revision}")?;
        }
        match &self.file {
            Some(file) => write!(f, "/{file}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, kind, repository, revision, file) in [
            ("hf:Qwen/Qwen2.5-0.5B", Kind::Model, "Qwen/Qwen2.5-0.5B", "main", None),
            ("hf://org/name@v1.0", Kind::Model, "org/name", "v1.0", None),
            ("hf:org/name@refs/pr/3", Kind::Model, "org/name", "refs/pr/3", None),
            ("hf:gpt2", Kind::Model, "gpt2", "main", None),
            ("hf:datasets/openai/gsm8k/main/a.parquet", Kind::Dataset, "openai/gsm8k", "main", Some("main/a.parquet")),
            ("hf:datasets/o/n@r/a/b.jsonl", Kind::Dataset, "o/n", "r", Some("a/b.jsonl")),
            ("hf:datasets/o/n/a/b.jsonl@r", Kind::Dataset, "o/n", "r", Some("a/b.jsonl")),
            ("hf:datasets/o/n", Kind::Dataset, "o/n", "main", None),
        ] {
            let read = Reference::parse(text).unwrap();
            assert_eq!((read.kind, read.repository.as_str(), read.revision()), (kind, repository, revision), "{text}");
            assert_eq!(read.file.as_deref(), file, "{text}");
            assert_eq!(Reference::parse(&read.to_string()).unwrap(), read);
        }
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        for (text, part) in [
            ("hf:", "letters"),
            ("hf:org/", "letters"),
            ("hf:../etc", "letters"),
            ("hf:org/na me", "letters"),
            ("hf:org--x/name", "letters"),
            ("hf:org/name/file.bin", "a model is"),
            ("hf:org/name@", "a revision"),
            ("hf:org/name@../../x", "a revision"),
            ("hf:datasets/name", "a data file is"),
            ("hf:datasets/o/n/../../x", "inside"),
            ("hf:datasets/o/n//x", "inside"),
            ("org/name", "begin"),
        ] {
            let told = Reference::parse(text).unwrap_err().to_string();
            assert!(told.contains(part) && told.contains(text), "{text}: {told}");
        }
    }
}
