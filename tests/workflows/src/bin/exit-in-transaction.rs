//! Exits as if all was well, within a transaction that printed something.
//! Events: none.

fn main() {
    durable::transaction("step", || {
        println!("leaving");
        std::process::exit(0)
    })
}
