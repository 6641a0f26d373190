//! Traps at once, and says nothing. Events: none.

fn main() {
    std::process::abort();
}
