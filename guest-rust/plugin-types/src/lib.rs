//! WIT to a component that imports what the WIT declares, and consists of these
//! imports alone: types and nothing that would have to be compiled.

use std::path::Path;

use anyhow::{ensure, Error, Result};
use wasm_encoder::{Component, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::{dummy_module, embed_component_metadata, ComponentEncoder, StringEncoding};
use wit_parser::{ManglingAndAbi, PackageId, ParseError, Resolve, ResolveError, WorldId};

/// A component that imports every function of `world`.
pub fn of_world(wit: &Path, world: &str) -> Result<Vec<u8>> {
    let (resolve, package) = resolve(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    imports(&resolve, world)
}

/// A component that imports every interface of the package in `wit`, a file or
/// a folder, whether or not a world there does.
pub fn of_package(wit: &Path) -> Result<Vec<u8>> {
    let (mut resolve, package) = resolve(wit)?;
    let package = &resolve.packages[package];
    ensure!(
        !package.interfaces.is_empty(),
        "package {} has no interface; a plugin provides the functions of interfaces",
        package.name
    );
    let mut world = String::from("package durable:plugin;\nworld every-interface {\n");
    for interface in package.interfaces.keys() {
        world += &format!("import {};\n", package.name.interface_id(interface));
    }
    world += "}";
    let package = resolve.push_str("every-interface.wit", &world)?;
    let world = resolve.select_world(&[package], None)?;
    imports(&resolve, world)
}

/// Items that WIT hides behind an unstable feature are included, because who
/// declares them serves them.
fn resolve(wit: &Path) -> Result<(Resolve, PackageId)> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    match resolve.push_path(wit) {
        Ok((package, _)) => Ok((resolve, package)),
        Err(error) => Err(with_place(error, &resolve)),
    }
}

/// The error with the line of the WIT that it is about.
fn with_place(error: Error, resolve: &Resolve) -> Error {
    let sources = &resolve.source_map;
    let place = error.chain().find_map(|cause| {
        cause
            .downcast_ref::<ResolveError>()
            .map(|error| error.render(sources))
            .or_else(|| {
                let error = cause.downcast_ref::<ParseError>();
                error.map(|error| error.render(sources))
            })
    });
    place.map_or(error, Error::msg)
}

fn imports(resolve: &Resolve, world: WorldId) -> Result<Vec<u8>> {
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
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
