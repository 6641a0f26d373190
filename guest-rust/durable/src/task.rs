//! The running task.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bindings::durable::core::core as host;

/// The running task: what it is called and what it was launched with.
#[derive(Clone, Debug)]
pub struct Task {
    id: i64,
    name: String,
    created_at: SystemTime,
    data: Box<RawValue>,
}

/// The running task.
///
/// ```no_run
/// let task = durable::task();
/// println!("task {} is called {}", task.id(), task.name());
/// ```
pub fn task() -> Task {
    Task::current()
}

impl Task {
    /// The running task, like [`task`].
    pub fn current() -> Self {
        Self {
            id: host::task_id(),
            name: host::task_name(),
            created_at: host::task_created_at().into(),
            data: RawValue::from_string(host::task_data())
                .expect("the host passes task data as JSON"),
        }
    }

    /// The id of the task. Other tasks send notifications to it.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The name that the task was launched with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the task was launched, by the clock of the database.
    pub fn created_at(&self) -> SystemTime {
        self.created_at
    }

    /// The data that the task was launched with.
    ///
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     customer: String,
    ///     cents: u64,
    /// }
    ///
    /// let order: Order = durable::task().data();
    /// ```
    ///
    /// # Panics
    ///
    /// With the message of `serde_json` if the data is not a `T`. To take
    /// other data as well, make `T` an `Option` or a `serde_json::Value`, or
    /// use [`raw_data`](Self::raw_data).
    #[track_caller]
    pub fn data<'a, T: Deserialize<'a>>(&'a self) -> T {
        match serde_json::from_str(self.data.get()) {
            Ok(data) => data,
            Err(error) => panic!("{error}"),
        }
    }

    /// The data that the task was launched with, as JSON text. `null` if
    /// there was none.
    pub fn raw_data(&self) -> &RawValue {
        &self.data
    }
}
