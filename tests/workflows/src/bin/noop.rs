//! Does nothing. Events: none.

fn main() {}
