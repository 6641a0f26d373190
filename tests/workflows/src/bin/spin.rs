//! Never ends and never calls the host. Events: none.

fn main() {
    loop {
        std::hint::black_box(());
    }
}
