//! Recurses without end. Events: none.

use std::hint::black_box;

fn deeper(n: u64) -> u64 {
    if n == u64::MAX {
        return n;
    }
    // Without this the compiler makes a loop of it.
    black_box(deeper(black_box(n + 1))) ^ n
}

fn main() {
    black_box(deeper(0));
}
