//! The recipes of the zoo: those of the working directory, and those that are in the binary.

use std::{collections::BTreeSet, fs, path::PathBuf};

include!(concat!(env!("OUT_DIR"), "/recipes.rs"));

/// A recipe's text, and what names it in errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeText {
    pub file: String,
    pub text: String,
}

/// Which recipes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// `recipes/zoo`: the systems.
    Zoo,
    /// `recipes/base`: what claims are compared with.
    Base,
}

impl Shelf {
    fn folder(self) -> &'static str {
        match self {
            Shelf::Zoo => "recipes/zoo",
            Shelf::Base => "recipes/base",
        }
    }

    fn compiled(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Shelf::Zoo => ZOO,
            Shelf::Base => BASE,
        }
    }

    /// The recipe of a name: the working directory's wins over the one in the binary. `None` where there is neither.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn find(self, name: &str) -> std::io::Result<Option<RecipeText>> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Ok(None);
        }
        let path = PathBuf::from(self.folder()).join(format!("{name}.toml"));
        let file = path.display().to_string();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(RecipeText { file, text })),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let compiled = self.compiled().iter().find(|(known, _)| *known == name);
                Ok(compiled.map(|(_, text)| RecipeText { file, text: (*text).to_owned() }))
            }
            Err(e) => Err(e),
        }
    }

    /// The names of all recipes, of the working directory and of the binary, sorted.
    pub fn names(self) -> Vec<String> {
        let here = fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
        let here = here.filter(|path| path.extension().is_some_and(|e| e == "toml"));
        let mut names: BTreeSet<String> =
            here.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.extend(self.compiled().iter().map(|(name, _)| (*name).to_owned()));
        names.into_iter().collect()
    }
}
