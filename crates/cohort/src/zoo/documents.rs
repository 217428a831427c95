//! README's table and `docs/systems/`, made from `results/` and `recipes/zoo/` of a working directory.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use cohort_zoo::{
    Claim, System,
    page::page,
    results::{DevLine, newest_trials, read_lines},
    systems::{Listed, SYSTEMS},
    table::{Entry, corrected_verdicts, index, table},
};
use toml::Table;

use super::{
    error::ZooError,
    journal::{FOLDER, Results},
};

/// Where README's table begins and ends.
const BEGIN: &str = "<!-- zoo: written by `cohort zoo table` -->";
const END: &str = "<!-- zoo: end -->";

/// What `cohort zoo table` wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// README's part.
    pub table: String,
    /// Files that were changed.
    pub changed: Vec<PathBuf>,
}

/// Every document as it should be, by its path below `root`.
fn documents(root: &Path) -> Result<(String, BTreeMap<PathBuf, String>), ZooError> {
    let entries: Vec<Entry> = SYSTEMS.iter().map(|listed| entry(root, listed)).collect::<Result<_, _>>()?;
    let corrected = corrected_verdicts(&entries);
    let folder = Path::new("docs/systems");
    let mut documents = BTreeMap::from([(folder.join("README.md"), index(&entries))]);
    for entry in &entries {
        if let Some(text) = page(entry, corrected.get(&entry.listed.number).copied()) {
            documents.insert(folder.join(format!("{}.md", entry.listed.name)), text);
        }
    }
    let readme = PathBuf::from("README.md");
    let table = table(&entries, "docs/systems/");
    let text = fs::read_to_string(root.join(&readme)).map_err(ZooError::io(root.join(&readme)))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(ZooError::Refused {
            file: root.join(&readme).display().to_string(),
            problem: "has no place for the zoo's table".to_owned(),
            hint: format!("put `{BEGIN}` and `{END}` where it should stand"),
        });
    };
    documents.insert(readme, format!("{before}{BEGIN}\n{table}{END}{after}"));
    Ok((table, documents))
}

fn entry(root: &Path, listed: &'static Listed) -> Result<Entry, ZooError> {
    let results = Results::read(root, listed.name)?;
    let (runs, line) = results.newest();
    let path = root.join(FOLDER).join(format!("{}.dev.jsonl", listed.name));
    let text = fs::read_to_string(&path).unwrap_or_default();
    let dev: Vec<DevLine> = read_lines(&text).map_err(|(line, problem)| ZooError::Line { path, line, problem })?;
    Ok(Entry { listed, recipe: sections(root, listed.name)?, runs, line: line.cloned(), dev: newest_trials(&dev) })
}

/// The `[system]` and the `[claim]` of a recipe that has both.
fn sections(root: &Path, name: &str) -> Result<Option<(System, Claim)>, ZooError> {
    let path = root.join("recipes/zoo").join(format!("{name}.toml"));
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let refused = |e: toml::de::Error| ZooError::Refused {
        file: path.display().to_string(),
        problem: e.message().to_owned(),
        hint: "docs/zoo.md says what [system] and [claim] hold".to_owned(),
    };
    let table: Table = text.parse().map_err(refused)?;
    let (Some(system), Some(claim)) = (table.get("system"), table.get("claim")) else { return Ok(None) };
    let system = system.clone().try_into().map_err(refused)?;
    Ok(Some((system, claim.clone().try_into().map_err(refused)?)))
}

/// Writes README's table and the pages below `root`.
///
/// # Errors
/// Results or recipes that cannot be read; a README without a place for the table; a file that cannot be written.
pub fn write_documents(root: &Path) -> Result<Written, ZooError> {
    let (table, documents) = documents(root)?;
    let mut changed = Vec::new();
    for (path, text) in documents {
        let full = root.join(&path);
        if fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).map_err(ZooError::io(folder))?;
        }
        fs::write(&full, text).map_err(ZooError::io(&full))?;
        changed.push(path);
    }
    Ok(Written { table, changed })
}

/// Documents below `root` that are not as they should be.
///
/// # Errors
/// As [`write_documents`].
pub fn stale(root: &Path) -> Result<Vec<PathBuf>, ZooError> {
    let (_, documents) = documents(root)?;
    let is_stale = |(path, text): &(PathBuf, String)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text);
    Ok(documents.into_iter().filter(is_stale).map(|(path, _)| path).collect())
}
