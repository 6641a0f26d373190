//! One of two programs that differ in their second step: to swap them under a
//! task that waits is a divergence at index 1.
//!
//! Events: `a`, `b`, `durable:core/notify.notification-blocking`, `c`.

fn main() {
    durable::transaction("a", || 1);
    durable::transaction("b", || 2);
    durable::notify::wait();
    durable::transaction("c", || 3);
}
