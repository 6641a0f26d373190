//! Enters a transaction within a transaction, past the check of the crate: the
//! host traps. With `{"checked": true}` it asks the crate, which panics.
//!
//! Events: none; checked: `outer` with a panic, `durable::panic`.

use serde::Deserialize;
use workflows::host::core::transaction_enter;

#[derive(Deserialize, Default)]
struct Settings {
    checked: bool,
}

fn main() {
    let Settings { checked } = workflows::settings();
    durable::transaction("outer", || {
        if checked {
            durable::transaction("inner", || ());
        } else {
            transaction_enter("inner", false);
        }
    });
}
