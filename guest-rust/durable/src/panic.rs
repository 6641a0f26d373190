//! How a workflow gives up: on purpose, or by a panic.

use std::ffi::c_int;
use std::fmt::Display;
use std::panic::PanicHookInfo;
use std::process;

use crate::bindings::durable::core::core as host;
use crate::transaction;

/// Log `message` and end the task as failed.
///
/// ```no_run
/// # let balance = -1;
/// if balance < 0 {
///     durable::abort("the account is overdrawn");
/// }
/// ```
pub fn abort(message: impl Display) -> ! {
    // In a transaction the log has a place already. Otherwise this opens one
    // that never ends, so that another run would print the message again.
    if !transaction::is_open() {
        transaction::flush();
        transaction::enter("durable::abort");
    }
    print(&format!("{message}\n"));
    process::exit(1)
}

// Runs before `main`, so that a program needs not ask for the hook and even a
// panic before its first call of this crate is reported. Elsewhere than in a
// workflow (a test on the developer's machine) panics are left alone.
#[used]
#[cfg_attr(target_arch = "wasm32", link_section = ".init_array")]
static INSTALL: extern "C" fn() = install;

extern "C" fn install() {
    std::panic::set_hook(Box::new(report));
}

/// Record a panic, after which the program is aborted.
fn report(panic: &PanicHookInfo) {
    let message = message(panic);
    if transaction::is_open() {
        transaction::exit_with_panic(message);
    }
    // A task that is run again has said this already.
    if transaction::enter("durable::panic").is_none() {
        let name = host::task_name();
        match panic.location() {
            Some(location) => print(&format!(
                "task '{name}' panicked at {location}:\n{message}\n"
            )),
            None => print(&format!("task '{name}' panicked:\n{message}\n")),
        }
        transaction::exit_with_nothing();
    }
}

fn message<'a>(panic: &'a PanicHookInfo) -> &'a str {
    let payload = panic.payload();
    if let Some(message) = payload.downcast_ref::<&str>() {
        message
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message
    } else {
        "the panic has no message"
    }
}

/// Write to the task's log past the standard library, which may be in the
/// middle of printing: a `Display` that panics leaves its streams locked.
fn print(text: &str) {
    extern "C" {
        fn write(descriptor: c_int, bytes: *const u8, count: usize) -> isize;
    }
    const STDERR: c_int = 2;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // SAFETY: `rest` is valid for reads of its length.
        let written = unsafe { write(STDERR, rest.as_ptr(), rest.len()) };
        match usize::try_from(written) {
            Ok(written) if written > 0 => rest = &rest[written..],
            // There is nowhere left to say it.
            _ => break,
        }
    }
}
