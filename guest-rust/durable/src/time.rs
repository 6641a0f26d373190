//! The host's points in time as those of the standard library.

use std::time::{Duration, SystemTime};

use crate::bindings::wasi::clocks::wall_clock::Datetime;

impl From<Datetime> for SystemTime {
    fn from(time: Datetime) -> Self {
        Self::UNIX_EPOCH + Duration::new(time.seconds, time.nanoseconds)
    }
}
