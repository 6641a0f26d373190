//! Says hello to its task.

fn main() {
    println!("Hello, {}!", durable::task().name());
}
