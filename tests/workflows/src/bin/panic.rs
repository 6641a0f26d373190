//! Panics. Events: `durable::panic`.

use durable as _;

fn main() {
    panic!("boom");
}
