//! Makes the files of this project that derive from its WIT files, and the
//! components that are written as text.

use std::path::Path;
use std::{env, fs};

use anyhow::{bail, Context, Result};
use wasm_encoder::{Component, RawSection};
use wasmparser::{Parser, Payload};
use wit_bindgen_core::{Files, WorldGenerator};
use wit_component::{dummy_module, embed_component_metadata, ComponentEncoder, StringEncoding};
use wit_parser::{ManglingAndAbi, Resolve};

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

/// A component that imports every function of `world` and consists of these
/// imports alone.
///
/// Items that WIT hides behind an unstable feature are included, because the
/// host serves them.
fn imports(wit: &str, world: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    let (package, _) = resolve.push_dir(Path::new(wit))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    types_only(&ComponentEncoder::default().module(&module)?.encode()?)
}

/// Cuts a component off where its code begins: the types and imports in front
/// are a component of their own that costs nothing to compile.
fn types_only(component: &[u8]) -> Result<Vec<u8>> {
    let mut types = Component::new();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } => continue,
            Payload::ComponentTypeSection(_)
            | Payload::ComponentImportSection(_)
            | Payload::ComponentAliasSection(_) => {}
            _ => break,
        }
        if let Some((id, range)) = payload.as_section() {
            types.section(&RawSection {
                id,
                data: &component[range.start as usize..range.end as usize],
            });
        }
    }
    Ok(types.finish())
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (content, out) = match args[..] {
        ["bindings", wit, out, ref interfaces @ ..] => (bindings(wit, interfaces)?, out),
        ["imports", wit, world, out] => (imports(wit, world)?, out),
        ["text", text, out] => (wat::parse_file(text)?, out),
        _ => bail!(USAGE),
    };
    fs::write(out, content).with_context(|| format!("cannot write {out}"))
}
