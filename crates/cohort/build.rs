//! Lists the recipes of the zoo and their bases, so that they are in the binary.

use std::{env, fmt::Write, fs, path::PathBuf};

fn main() {
    let mut text = String::new();
    for (list, folder) in [("ZOO", "zoo"), ("BASE", "base")] {
        let folder =
            PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../recipes").join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
        files.sort();
        let _ = writeln!(text, "pub(super) const {list}: &[(&str, &str)] = &[");
        for file in &files {
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a recipe's name is text");
            let _ = writeln!(text, "    ({name:?}, include_str!({:?})),", file.display().to_string());
        }
        text.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("recipes.rs");
    fs::write(out, text).expect("the build directory is writable");
}
