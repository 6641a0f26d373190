//! Write durable workflows in Rust.
//!
//! A workflow is an ordinary program. The engine that runs it writes down
//! every answer that could differ between two runs: what time it is, a random
//! number, the result of a [`transaction`], a notification that came in. When
//! the machine dies, another one runs the program again from the top, serves
//! the answers that were written down, and so comes to the very point where
//! the first run stopped.
//!
//! ```no_run
//! use std::thread::sleep;
//! use std::time::Duration;
//!
//! fn main() {
//!     let order: u64 = durable::task().data();
//!     let receipt = durable::transaction("charge", || charge(order));
//!     sleep(Duration::from_secs(24 * 60 * 60));
//!     println!("order {order} was paid a day ago: {receipt}");
//! }
//!
//! fn charge(order: u64) -> String {
//!     // Talk to the world here: a finished transaction is never run again.
//!     format!("receipt for {order}")
//! }
//! ```
//!
//! # What is durable
//!
//! The standard library is: `println!`, `Instant`, `SystemTime`,
//! `thread::sleep`, the random keys of `HashMap`, `process::exit`. A task that
//! sleeps for long costs no memory meanwhile. There are no files, no sockets,
//! no environment and no arguments.
//!
//! A program may do anything that depends only on what it was told: its own
//! code, its [`task`] and the recorded answers. Doing something else on a
//! second run than on the first one ends the task.
//!
//! # Features
//!
//! * `http`: the module `http`, for HTTP requests.
//! * `sqlx`: the module `sqlx`, for SQL that takes effect exactly once. Its
//!   documentation tells about the other features.
//!
//! # Building
//!
//! ```text
//! cargo build --release --target wasm32-wasip2
//! ```
//!
//! yields the component; no other tool is needed. These settings make it small:
//!
//! ```toml
//! [profile.release]
//! opt-level = "s"
//! lto = true
//! strip = true
//! panic = "abort"
//! ```

#![deny(missing_docs)]

#[allow(missing_docs)]
mod bindings;
mod error;
#[cfg(feature = "http")]
pub mod http;
mod json;
pub mod notify;
mod panic;
#[cfg(feature = "sqlx")]
pub mod sqlx;
mod task;
mod time;
mod transaction;

pub use serde_json::value::RawValue;

pub use crate::error::{Error, Result, StdError};
pub use crate::panic::abort;
pub use crate::task::{task, Task};
pub use crate::transaction::transaction;
