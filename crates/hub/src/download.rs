//! From the Hub into the cache: each file whole or not at all, and the revision last.

mod client;
mod store;

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    HubError, Kind, Progress, Reference, Settings,
    cache::{Repository, is_plain},
    select,
};
use client::{Answer, Blob, Body, Client, Target};
use store::Store;

/// One repository's way into the cache.
pub struct Download<'a> {
    client: Client<'a>,
    repository: &'a Repository,
    reference: &'a Reference,
    name: String,
    progress: &'a dyn Progress,
}

/// How far a blob is.
enum Received {
    Whole,
    More,
}

/// What the Hub says of a revision.
struct Listing {
    commit: String,
    files: Vec<String>,
}

impl<'a> Download<'a> {
    pub fn new(
        settings: &'a Settings,
        progress: &'a dyn Progress,
        repository: &'a Repository,
        reference: &'a Reference,
    ) -> Result<Self, HubError> {
        let name = reference.to_string();
        Ok(Self { client: Client::new(settings, &name)?, repository, reference, name, progress })
    }

    /// The folder of the model, or the file, now in the cache.
    pub fn run(&self) -> Result<PathBuf, HubError> {
        let listing = self.listing()?;
        let snapshot = self.repository.snapshot(&listing.commit);
        let store = Store { name: &self.name, repository: self.repository, snapshot: &snapshot };
        let path = match &self.reference.file {
            Some(file) if listing.files.contains(file) => {
                self.bring(&store, &listing, file)?;
                snapshot.folder.join(file)
            }
            Some(file) => {
                let (name, file) = (self.name.clone(), file.clone());
                return Err(HubError::NoFile { name, file, has: listing.files });
            }
            None => {
                self.model(&store, &listing)?;
                snapshot.folder.clone()
            }
        };
        // Last: a revision that the cache knows has all its files.
        if self.reference.revision() != listing.commit {
            store.remember(self.reference.revision(), &listing.commit)?;
        }
        Ok(path)
    }

    fn model(&self, store: &Store<'_>, listing: &Listing) -> Result<(), HubError> {
        let has = |file: &str| listing.files.iter().any(|f| f == file);
        let no_weights = || HubError::NoWeights { name: self.name.clone(), has: listing.files.clone() };
        if !has(select::WEIGHTS) && !has(select::INDEX) && !has(select::ADAPTER) {
            return Err(no_weights());
        }
        for file in select::BESIDE {
            if has(file) {
                self.bring(store, listing, file)?;
            } else {
                store.mark_absent(file)?;
            }
        }
        if has(select::MODULES) {
            for file in listing.files.iter().filter(|file| select::is_of_a_module(file)) {
                self.bring(store, listing, file)?;
            }
        }
        if has(select::WEIGHTS) {
            return self.bring(store, listing, select::WEIGHTS);
        }
        if has(select::INDEX) {
            self.bring(store, listing, select::INDEX)?;
            let index = store.snapshot.folder.join(select::INDEX);
            for shard in select::shards(&index).ok_or_else(no_weights)? {
                self.bring(store, listing, &shard)?;
            }
        }
        Ok(())
    }

    /// Sees to it that the snapshot has the file.
    fn bring(&self, store: &Store<'_>, listing: &Listing, file: &str) -> Result<(), HubError> {
        if store.snapshot.has(file) {
            return Ok(());
        }
        let path = format!(
            "/{}{}/resolve/{}/{}",
            if self.reference.kind == Kind::Dataset { "datasets/" } else { "" },
            self.reference.repository,
            listing.commit,
            client::encoded(file, "/")
        );
        let Target { blob, mut open } =
            self.client.file(&path).map_err(|answer| self.refused(answer, Some((file, listing))))?;
        if !is_plain(&blob.etag) {
            return Err(self.not_the_hub(format!("the ETag of `{file}` is {:?}", blob.etag)));
        }
        // Another process may be at the same blob: one brings it, the other finds it.
        let _lock = store.lock(&blob.etag)?;
        if store.has(&blob) {
            return store.link(file, &blob);
        }
        self.progress.begin(file, blob.size, store.part_of(&blob));
        let brought = loop {
            match self.receive(store, &blob, open.take(), (file, listing)) {
                Ok(Received::More) => {}
                Ok(Received::Whole) => break store.keep(&blob, file),
                Err(e) => break Err(e),
            }
        };
        self.progress.end();
        brought?;
        store.link(file, &blob)
    }

    /// One connection's share of a blob. One that breaks is taken up again as long as it brings something.
    fn receive(
        &self,
        store: &Store<'_>,
        blob: &Blob,
        open: Option<Body>,
        (file, listing): (&str, &Listing),
    ) -> Result<Received, HubError> {
        let here = store.part_of(blob);
        if blob.size == Some(here) && here > 0 {
            return Ok(Received::Whole);
        }
        let body = match open {
            Some(body) => body,
            None => self.client.body(blob, here).map_err(|a| self.refused(a, Some((file, listing))))?,
        };
        match store.write(blob, body, file, self.progress) {
            Ok(()) => Ok(Received::Whole),
            Err(HubError::CutShort { got, .. }) if blob.resumes && got > here => Ok(Received::More),
            Err(e) => Err(e),
        }
    }

    fn listing(&self) -> Result<Listing, HubError> {
        let path = format!(
            "/api/{}/{}/revision/{}",
            self.reference.kind.plural(),
            self.reference.repository,
            client::encoded(self.reference.revision(), "")
        );
        let text = self.client.text(&path).map_err(|answer| self.refused(answer, None))?;
        let value: Value = serde_json::from_str(&text).map_err(|_| {
            self.not_the_hub(format!("{path} is no JSON: {:?}", text.chars().take(60).collect::<String>()))
        })?;
        let commit = value["sha"].as_str().filter(|sha| is_plain(sha));
        let commit = commit.ok_or_else(|| self.not_the_hub(format!("{path} has no commit `sha`")))?.to_owned();
        let siblings = value["siblings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let files = siblings.iter().filter_map(|s| s["rfilename"].as_str()).map(str::to_owned).collect();
        Ok(Listing { commit, files })
    }

    fn not_the_hub(&self, reason: String) -> HubError {
        HubError::NotTheHub { name: self.name.clone(), endpoint: self.client.endpoint().to_owned(), reason }
    }

    /// What an answer other than a success means.
    fn refused(&self, answer: Answer, asked: Option<(&str, &Listing)>) -> HubError {
        let (name, endpoint) = (self.name.clone(), self.client.endpoint().to_owned());
        let with_token = self.client.has_token();
        match answer {
            Answer::Error(e) => e,
            Answer::Status { status, code, said, url } => match (status, code.as_deref()) {
                (_, Some("RepoNotFound")) => HubError::NoRepository { name, endpoint, with_token },
                (_, Some("RevisionNotFound")) => {
                    HubError::NoRevision { name, revision: self.reference.revision().to_owned() }
                }
                (403, _) | (_, Some("GatedRepo")) => HubError::Forbidden { name, said },
                (401, _) => HubError::Unauthorised { name, endpoint },
                (404, _) => match asked {
                    Some((file, listing)) => {
                        HubError::NoFile { name, file: file.to_owned(), has: listing.files.clone() }
                    }
                    None => HubError::NoRepository { name, endpoint, with_token },
                },
                _ => HubError::Status { name, url, status },
            },
        }
    }
}
