//! Draws values that JSON can spell in several ways, and prints what it got of
//! them before and after a sleep. A replay in between must see the same.
//!
//! Data: how many seconds to sleep.
//! Prints the same line twice.
//! Events: `draw`, `wasi:io/streams.output-stream.write`, `wasi:io/poll.poll`
//! and `wasi:clocks/monotonic-clock.now` for the sleep, and another write.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Number;

const FLOATS: [f64; 20] = [
    0.0, -0.0, 0.1, 1.0, -1.5, 1e-4, 1e-5, 1e-7, -1.25e-9, 9.1e15, 1e15, 1e16, -1e16, 1.5e17, 1e21,
    1e22, 1e23, 1.7e308, 2.3e-308, 5e-324,
];

/// Bits in which nobody sees a pattern (splitmix64).
fn bits(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Floats as such, numbers of which only their text says that they are floats,
/// and text.
type Drawn = (Vec<f64>, Vec<Number>, String);

fn draw() -> Drawn {
    let more = (1..=500).map(bits).map(f64::from_bits);
    let finite = more.filter(|float| float.is_finite());
    let floats: Vec<f64> = FLOATS.into_iter().chain(finite).collect();
    let numbers = floats.iter().filter_map(|float| Number::from_f64(*float));
    let integers = [Number::from(u64::MAX), Number::from(i64::MIN)];
    let numbers = numbers.chain(integers).collect();
    let text = "\u{1}\t\n\"\\/\u{7f}ü\u{2028}\u{1f600}".into();
    (floats, numbers, text)
}

fn print(drawn: &Drawn) {
    println!("{}", serde_json::to_string(drawn).unwrap());
}

fn main() {
    let seconds = durable::task().data();
    let drawn = durable::transaction("draw", draw);
    print(&drawn);
    sleep(Duration::from_secs(seconds));
    print(&drawn);
}
