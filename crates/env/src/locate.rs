//! Where a recipe's paths are: `data:NAME` stands in the shared data folder, the rest where they say.

use std::path::{Component, Path, PathBuf};

/// A recipe's path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    #[error(
        "`{key}` is `data:{name}`, and COHORT_DATA is not set: set it to the folder that holds `{name}`, or give a plain path"
    )]
    DataFolderUnset { key: &'static str, name: String },
    #[error(
        "`{key}` is `data:{name}`, and the name after `data:` must be a path inside the data folder, such as `data:gsm8k/train.jsonl`"
    )]
    OutsideDataFolder { key: &'static str, name: String },
    #[error("`{key}` is empty: give a path, or `data:NAME` for a file of the data folder")]
    Empty { key: &'static str },
}

/// The file system's path of `path`, which recipe key `key` gave. `data_folder` is what the
/// environment variable COHORT_DATA holds. A relative path is left relative to the working
/// directory. Whether anything is there is for the one who opens it.
pub fn locate(key: &'static str, path: &str, data_folder: Option<&Path>) -> Result<PathBuf, LocateError> {
    let Some(name) = path.strip_prefix("data:") else {
        return if path.is_empty() { Err(LocateError::Empty { key }) } else { Ok(PathBuf::from(path)) };
    };
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if name.is_empty() || !inside {
        return Err(LocateError::OutsideDataFolder { key, name: name.into() });
    }
    match data_folder {
        Some(folder) => Ok(folder.join(name)),
        None => Err(LocateError::DataFolderUnset { key, name: name.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_data_folder_and_paths_where_they_say() {
        let folder = Path::new("/srv/data");
        let found = |path| locate("data.path", path, Some(folder)).unwrap();
        assert_eq!(found("data:gsm8k/train.jsonl"), folder.join("gsm8k/train.jsonl"));
        assert_eq!(found("rows.jsonl"), Path::new("rows.jsonl"));
        assert_eq!(found("/tmp/rows.jsonl"), Path::new("/tmp/rows.jsonl"));
        assert_eq!(locate("data.path", "rows.jsonl", None).unwrap(), Path::new("rows.jsonl"));
    }

    #[test]
    fn a_name_without_a_data_folder_says_what_to_set() {
        let error = locate("data.path", "data:gsm8k/train.jsonl", None).unwrap_err().to_string();
        for part in ["data.path", "data:gsm8k/train.jsonl", "COHORT_DATA"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_name_cannot_leave_the_data_folder() {
        for path in ["data:/etc/passwd", "data:../secret", "data:a/../../b", "data:"] {
            let error = locate("policy.model", path, Some(Path::new("/srv"))).unwrap_err();
            assert!(matches!(error, LocateError::OutsideDataFolder { .. }), "{path}: {error}");
            assert!(error.to_string().contains("policy.model"), "{error}");
        }
        assert_eq!(locate("data.path", "", None), Err(LocateError::Empty { key: "data.path" }));
    }
}
