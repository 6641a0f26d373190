//! Makes the files of this project that derive from its WIT files, and the
//! components that are written as text.

use std::path::Path;
use std::{env, fs};

use anyhow::{bail, Context, Result};
use wit_bindgen_core::{Files, WorldGenerator};
use wit_parser::Resolve;

const USAGE: &str = "usage: component-tool bindings WIT_DIR OUT.rs INTERFACE...
       component-tool imports WIT_DIR WORLD OUT.wasm
       component-tool text IN.wat OUT.wasm";

/// Rust bindings for some interfaces of the package in `wit`.
///
/// Whatever these bindings declare, a component imports only the interfaces
/// that its code calls.
fn bindings(wit: &str, interfaces: &[&str]) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(wit))?;
    let name = &resolve.packages[package].name;
    // Linkers concatenate sections of the same name, and the section that holds
    // the component type is named after the world: so no two may share a name.
    let mut world = format!(
        "package {}:guest;\nworld {} {{\n",
        name.namespace,
        interfaces.join("-")
    );
    for interface in interfaces {
        world += &format!("import {};\n", name.interface_id(interface));
    }
    world += "}";
    let package = resolve.push_str("guest.wit", &world)?;
    let world = resolve.select_world(&[package], None)?;
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, source) = files.iter().next().context("no bindings were generated")?;
    Ok(source.to_vec())
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (content, out) = match args[..] {
        ["bindings", wit, out, ref interfaces @ ..] => (bindings(wit, interfaces)?, out),
        ["imports", wit, world, out] => (plugin_types::of_world(Path::new(wit), world)?, out),
        ["text", text, out] => (wat::parse_file(text)?, out),
        _ => bail!(USAGE),
    };
    fs::write(out, content).with_context(|| format!("cannot write {out}"))
}
