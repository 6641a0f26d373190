//! `plugin-types WIT`: the types of all interfaces of a WIT package, on stdout.
//!
//! Built for wasm32-wasip1 and run by `python -m durable.plugins`, so that the
//! author of a plugin needs no Rust and no other tool.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(wit) = env::args().nth(1) else {
        eprintln!("usage: plugin-types WIT");
        return ExitCode::from(2);
    };
    match plugin_types::of_package(Path::new(&wit)) {
        Ok(types) => match io::stdout().write_all(&types) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
