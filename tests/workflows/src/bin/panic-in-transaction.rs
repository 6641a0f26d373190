//! Panics within a transaction.
//!
//! Events: `step` with `{"type": "panic", "data": "boom"}`, `durable::panic`.

fn main() {
    durable::transaction("step", || panic!("boom"))
}
