//! Takes memory in chunks of 16 MiB and uses it, without end. Events: those of
//! the message with which the standard library gives up, if it gets so far.

const CHUNK: usize = 16 << 20;

fn main() {
    let mut chunks = Vec::new();
    loop {
        chunks.push(vec![1u8; CHUNK]);
        std::hint::black_box(&chunks);
    }
}
