//! Blobs, links and marks, each written aside and then put in its place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::client::{Blob, Body};
use crate::{
    HubError, Progress,
    cache::{Repository, Snapshot},
};

/// One snapshot's files on their way in.
pub struct Store<'a> {
    pub name: &'a str,
    pub repository: &'a Repository,
    pub snapshot: &'a Snapshot,
}

const CHUNK: usize = 1 << 18;

impl Store<'_> {
    fn io(&self, path: &Path) -> impl FnOnce(io::Error) -> HubError {
        let (name, path) = (self.name.to_owned(), path.to_owned());
        move |source| HubError::Io { name, path, source }
    }

    fn folder_of(&self, path: &Path) -> Result<(), HubError> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder).map_err(self.io(folder))
    }

    fn whole(&self, blob: &Blob) -> PathBuf {
        self.repository.folder.join("blobs").join(&blob.etag)
    }

    fn part(&self, blob: &Blob) -> PathBuf {
        self.repository.folder.join("blobs").join(format!("{}.incomplete", blob.etag))
    }

    pub fn has(&self, blob: &Blob) -> bool {
        self.whole(blob).is_file()
    }

    /// Bytes that an earlier download left, and that this one goes on from.
    pub fn part_of(&self, blob: &Blob) -> u64 {
        let bytes = fs::metadata(self.part(blob)).map_or(0, |m| m.len());
        match blob.size {
            _ if !blob.resumes => 0,
            Some(size) if bytes > size => 0,
            _ => bytes,
        }
    }

    /// Held while a blob is brought: the same file, and the same kind of lock, that `huggingface_hub` takes.
    pub fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.repository.locks.join(format!("{etag}.lock"));
        self.folder_of(&path)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(self.io(&path))?;
        file.lock().map_err(self.io(&path))?;
        Ok(file)
    }

    /// Writes what a connection brings behind what is there.
    ///
    /// # Errors
    /// [`HubError::CutShort`], with all bytes that are here now.
    pub fn write(&self, blob: &Blob, mut body: Body, file: &str, progress: &dyn Progress) -> Result<(), HubError> {
        let path = self.part(blob);
        self.folder_of(&path)?;
        let mut part =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(self.io(&path))?;
        part.set_len(body.from).map_err(self.io(&path))?;
        part.seek(io::SeekFrom::End(0)).map_err(self.io(&path))?;
        let (mut got, mut chunk) = (body.from, vec![0; CHUNK]);
        let cut = |got, reason: String| {
            let (name, file, expected) = (self.name.to_owned(), file.to_owned(), blob.size);
            Err(HubError::CutShort { name, file, got, expected, reason })
        };
        loop {
            match body.reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => {
                    part.write_all(&chunk[..n]).map_err(self.io(&path))?;
                    got += n as u64;
                    progress.advance(n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return cut(got, e.to_string()),
            }
        }
        match blob.size {
            Some(size) if size != got => cut(got, "the server closed the connection".to_owned()),
            _ => part.sync_all().map_err(self.io(&path)),
        }
    }

    /// Checks a whole part, and makes it the blob.
    pub fn keep(&self, blob: &Blob, file: &str) -> Result<(), HubError> {
        let path = self.part(blob);
        if blob.resumes {
            let got = sha256(&path).map_err(self.io(&path))?;
            if !got.eq_ignore_ascii_case(&blob.etag) {
                fs::remove_file(&path).map_err(self.io(&path))?;
                let (name, file, expected) = (self.name.to_owned(), file.to_owned(), blob.etag.clone());
                return Err(HubError::Corrupt { name, file, expected, got });
            }
        }
        fs::rename(&path, self.whole(blob)).map_err(self.io(&path))
    }

    /// Puts a blob under its name into the snapshot.
    pub fn link(&self, file: &str, blob: &Blob) -> Result<(), HubError> {
        let path = self.snapshot.folder.join(file);
        self.folder_of(&path)?;
        // A link whose blob is gone stands in the way.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(self.io(&path))?;
        }
        // From the file's folder over the snapshot's and `snapshots` up to the repository.
        let up = "../".repeat(2 + file.matches('/').count());
        link_to(&PathBuf::from(format!("{up}blobs/{}", blob.etag)), &self.whole(blob), &path).map_err(self.io(&path))
    }

    /// Notes that the commit has no such file.
    pub fn mark_absent(&self, file: &str) -> Result<(), HubError> {
        let path = self.snapshot.absent.join(file);
        self.folder_of(&path)?;
        File::create(&path).map(drop).map_err(self.io(&path))
    }

    /// Notes which commit a revision names.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        let path = self.repository.folder.join("refs").join(revision);
        self.folder_of(&path)?;
        let _lock = self.lock(commit)?;
        let aside = path.with_file_name(format!(".{}.{}", commit, std::process::id()));
        fs::write(&aside, commit).map_err(self.io(&aside))?;
        fs::rename(&aside, &path).map_err(self.io(&path))
    }
}

#[cfg(unix)]
fn link_to(relative: &Path, _: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// Links want a privilege there.
#[cfg(not(unix))]
fn link_to(_: &Path, whole: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(whole, path).or_else(|_| fs::copy(whole, path).map(drop))
}

fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut chunk) = (File::open(path)?, Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n => hash.update(&chunk[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
