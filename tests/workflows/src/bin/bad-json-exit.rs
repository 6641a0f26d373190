//! Ends a transaction with something that is not JSON: the host traps.
//!
//! Data: the text, a string; none means `{not json`. Events: none.

use workflows::host::core::{transaction_enter, transaction_exit};

fn main() {
    let text: Option<String> = durable::task().data();
    transaction_enter("step", false);
    transaction_exit(text.as_deref().unwrap_or("{not json"));
}
