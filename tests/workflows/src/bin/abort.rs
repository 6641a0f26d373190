//! Gives up. Events: none, for the transaction `durable::abort` never ends.

fn main() {
    durable::abort("giving up");
}
