//! From what sqlx calls asynchronous to what blocks.
//!
//! The host runs a statement while the program waits in the call, so the
//! futures and streams of this driver never have to wait: they are ready
//! whenever they are polled.

use std::future::Future;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};

use futures_core::stream::BoxStream;
use futures_core::Stream;

/// The result of a future of this driver.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("{NEVER_WAITS}"),
    }
}

const NEVER_WAITS: &str = "a future of the SQL driver never waits";

/// A stream of this driver as an iterator.
pub(crate) struct Iter<'e, T>(pub(crate) BoxStream<'e, T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let context = &mut Context::from_waker(Waker::noop());
        match self.0.as_mut().poll_next(context) {
            Poll::Ready(item) => item,
            Poll::Pending => unreachable!("{NEVER_WAITS}"),
        }
    }
}

/// An iterator as a stream that never waits.
pub(crate) struct Ready<I>(pub(crate) I);

impl<I: Iterator + Unpin> Stream for Ready<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_ready_has_a_result() {
        assert_eq!(block_on(async { 7 }), 7);
    }

    #[test]
    #[should_panic(expected = "never waits")]
    fn a_future_that_waits_is_none_of_this_driver() {
        block_on(std::future::pending::<()>());
    }

    #[test]
    fn an_iterator_survives_the_way_through_a_stream() {
        let stream: BoxStream<u8> = Box::pin(Ready([1, 2, 3].into_iter()));
        assert_eq!(Iter(stream).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
