//! Descriptions of queries in files, in the format of sqlx.

use std::path::{Path, PathBuf};
use std::{fs, process};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::describe::Description;

/// One file.
#[derive(Serialize, Deserialize)]
struct Entry {
    db_name: String,
    query: String,
    describe: Description,
    hash: String,
}

const DB_NAME: &str = "PostgreSQL";

fn hash(sql: &str) -> String {
    let digest = Sha256::digest(sql.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_name(sql: &str) -> String {
    format!("query-{}.json", hash(sql))
}

/// The file that describes a query, in the first folder that has it.
pub fn find(dirs: &[PathBuf], sql: &str) -> Option<PathBuf> {
    let mut files = dirs.iter().map(|dir| dir.join(file_name(sql)));
    files.find(|file| file.is_file())
}

pub fn read(file: &Path, sql: &str) -> Result<Description, String> {
    let fail = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| fail(&error))?;
    let entry: Entry = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    if entry.db_name != DB_NAME {
        return Err(fail(&format!("it is about {}", entry.db_name)));
    }
    if entry.query != sql {
        return Err(fail(&"it is about another query"));
    }
    Ok(entry.describe)
}

pub fn write(dir: &Path, sql: &str, describe: Description) -> Result<Description, String> {
    let file = dir.join(file_name(sql));
    let entry = Entry {
        db_name: DB_NAME.into(),
        query: sql.into(),
        describe,
        hash: hash(sql),
    };
    let written = || -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        // Several crates may be compiled at once.
        let draft = file.with_extension(format!("{}.tmp", process::id()));
        fs::write(&draft, serde_json::to_string_pretty(&entry)? + "\n")?;
        fs::rename(&draft, &file)
    };
    match written() {
        Ok(()) => Ok(entry.describe),
        Err(error) => Err(format!("cannot write {}: {error}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "SELECT 1";

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("durable-macros-{name}-{}", process::id()))
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = folder("cache");
        write(&dir, SQL, Description::example()).unwrap();
        let file = find(&[dir.join("nothing"), dir.clone()], SQL).unwrap();
        assert_eq!(
            file.file_name().unwrap().to_str().unwrap(),
            "query-e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5.json"
        );
        assert_eq!(read(&file, SQL).unwrap().columns()[0].name, "?column?");
        assert!(read(&file, "SELECT 2").is_err());
        assert!(find(std::slice::from_ref(&dir), "SELECT 2").is_none());
        fs::remove_dir_all(dir).unwrap();
    }
}
