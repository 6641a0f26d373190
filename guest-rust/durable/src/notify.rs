//! Notifications: messages between tasks, and from applications to tasks.
//!
//! A task gets its notifications one by one, in the order in which they were
//! sent, each exactly once. While it waits it costs no memory.
//!
//! Nothing of this module may be used within a transaction: the task would
//! be ended.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::bindings::durable::core::notify as host;

/// A notification that this task has received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notification {
    /// When it was sent, by the clock of the database.
    pub created_at: SystemTime,
    /// What happened: a name that sender and receiver agree on.
    pub event: String,
    /// What came with it, as JSON text.
    pub data: Box<RawValue>,
}

impl Notification {
    /// What came with the notification.
    ///
    /// # Errors
    ///
    /// If the data is not a `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.get())
    }
}

impl From<host::Event> for Notification {
    fn from(event: host::Event) -> Self {
        Self {
            created_at: event.created_at.into(),
            event: event.event,
            data: RawValue::from_string(event.data).expect("the host passes data as JSON"),
        }
    }
}

/// Wait for the next notification.
///
/// ```no_run
/// let notification = durable::notify::wait();
/// println!("{}: {}", notification.event, notification.data);
/// ```
pub fn wait() -> Notification {
    host::notification_blocking().into()
}

/// Wait for the next notification, or until the time is over.
///
/// The time counts from the first call, also if the task was moved to another
/// machine meanwhile. A timeout of more than 584 years counts as that.
///
/// ```no_run
/// use std::time::Duration;
///
/// match durable::notify::wait_with_timeout(Duration::from_secs(3600)) {
///     Some(notification) => println!("{}", notification.event),
///     None => println!("nothing happened for an hour"),
/// }
/// ```
pub fn wait_with_timeout(timeout: Duration) -> Option<Notification> {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    host::notification_blocking_timeout(nanoseconds).map(Notification::from)
}

/// Send a notification to the task with the id `task`, which may be this one.
///
/// ```no_run
/// # let customer_task = 1;
/// durable::notify::notify(customer_task, "shipped", &"parcel 17")?;
/// # Ok::<_, durable::notify::NotifyError>(())
/// ```
///
/// # Errors
///
/// If there is no such task, if it has finished, or if the host refuses the
/// notification. [`NotifyError::kind`] tells which.
///
/// # Panics
///
/// If `data` is not expressible in JSON.
#[track_caller]
pub fn notify<T>(task: i64, event: &str, data: &T) -> Result<(), NotifyError>
where
    T: Serialize + ?Sized,
{
    let data = match serde_json::to_string(data) {
        Ok(data) => data,
        Err(error) => panic!("the data of a notification is not expressible in JSON: {error}"),
    };
    host::notify(task, event, &data).map_err(NotifyError)
}

/// Why a notification was not sent.
#[derive(Clone)]
pub struct NotifyError(host::NotifyError);

/// The kinds of [`NotifyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotifyErrorKind {
    /// There is no task with this id.
    TaskNotFound,
    /// The task has finished.
    TaskDead,
    /// Anything else. The error's text tells what.
    Other,
}

impl NotifyError {
    /// What kind of error this is.
    pub fn kind(&self) -> NotifyErrorKind {
        match self.0 {
            host::NotifyError::TaskNotFound => NotifyErrorKind::TaskNotFound,
            host::NotifyError::TaskDead => NotifyErrorKind::TaskDead,
            host::NotifyError::Other(_) => NotifyErrorKind::Other,
        }
    }
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            host::NotifyError::TaskNotFound => "there is no such task",
            host::NotifyError::TaskDead => "the task has finished",
            host::NotifyError::Other(message) => message,
        })
    }
}

impl fmt::Debug for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyError")
            .field("kind", &self.kind())
            .field("message", &self.to_string())
            .finish()
    }
}

impl std::error::Error for NotifyError {}
