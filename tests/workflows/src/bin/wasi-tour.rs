//! Touches what a program of the standard library can reach of WASI, and prints
//! one line about it:
//!
//! `args=0 vars=0 stdin=0 file=true socket=true map=2 random=true`
//!
//! with the number of arguments, of environment variables and of bytes on
//! stdin, whether opening a file and connecting a socket failed as they must,
//! the size of a hash map, and whether two random numbers differ.
//! Events: twice `wasi:random/random.get-random-u64`, twice
//! `wasi:random/random.get-insecure-random-u64`,
//! `wasi:io/streams.output-stream.write` (on stderr),
//! `wasi:io/streams.output-stream.write`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{stdin, Read};
use std::net::{Ipv4Addr, TcpStream};

use workflows::host::insecure::get_insecure_random_u64;
use workflows::host::random::get_random_u64;

fn main() {
    let args = std::env::args().count();
    let vars = std::env::vars().count();
    let mut input = Vec::new();
    let stdin = stdin().read_to_end(&mut input).unwrap();
    let file = File::open("/etc/passwd").is_err();
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, 80)).is_err();
    let map = HashMap::from([("one", 1), ("two", 2)]).len();
    let random = get_random_u64() != get_random_u64()
        && get_insecure_random_u64() != get_insecure_random_u64();
    eprintln!("on stderr");
    println!("args={args} vars={vars} stdin={stdin} file={file} socket={socket} map={map} random={random}");
}
