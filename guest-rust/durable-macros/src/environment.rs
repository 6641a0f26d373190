//! What the environment says about the database and the cache. The variables
//! are those of sqlx, so that its tools work.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the package that is compiled.
pub fn manifest_dir() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default()
}

/// Where a query is to be described.
pub struct Settings {
    /// The database, unless the cache is to be used.
    pub database_url: Option<String>,
    /// Whether the cache was asked for.
    pub offline: bool,
    /// The folder in which descriptions are kept, if it was named.
    pub offline_dir: Option<PathBuf>,
}

impl Settings {
    pub fn load() -> Self {
        let file = env_file(&manifest_dir());
        let get = |key: &str| {
            let in_file = || file.iter().find(|(name, _)| name == key);
            let value = env::var(key).ok();
            value.or_else(|| in_file().map(|(_, value)| value.clone()))
        };
        let offline = get("SQLX_OFFLINE").is_some_and(|value| is_true(&value));
        Self {
            database_url: get("DATABASE_URL").filter(|url| !offline && !url.is_empty()),
            offline,
            offline_dir: get("SQLX_OFFLINE_DIR").map(PathBuf::from),
        }
    }

    /// The folders in which a description may be.
    pub fn cache_dirs(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = self.offline_dir.iter().cloned().collect();
        for ancestor in manifest_dir().ancestors() {
            dirs.push(ancestor.join(".sqlx"));
            // The root of the workspace.
            if ancestor.join("Cargo.lock").exists() {
                break;
            }
        }
        dirs
    }
}

fn is_true(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// The variables of the nearest file `.env`, from the package upwards.
fn env_file(package: &Path) -> Vec<(String, String)> {
    let mut files = package.ancestors().map(|folder| folder.join(".env"));
    let Some(file) = files.find(|file| file.is_file()) else {
        return Vec::new();
    };
    match dotenvy::from_path_iter(file) {
        Ok(variables) => variables.filter_map(Result::ok).collect(),
        Err(_) => Vec::new(),
    }
}
