//! What several programs share.

/// The host's functions as they are, to call them as no crate would.
pub mod host {
    #![allow(missing_docs)]

    wit_bindgen::generate!({
        path: "../../durable/wit",
        inline: "
            package durable:tests;

            world bindings {
                import durable:core/core@2.7.0;
                import durable:core/notify@2.7.0;
                import durable:core/http@2.7.0;
                import durable:core/sql@2.7.0;
                import wasi:clocks/monotonic-clock@0.2.0;
                import wasi:clocks/wall-clock@0.2.0;
                import wasi:io/poll@0.2.0;
                import wasi:random/insecure@0.2.0;
                import wasi:random/random@0.2.0;
            }
        ",
        generate_all,
    });

    pub use self::durable::core::{core, http, notify, sql};
    pub use self::wasi::clocks::{monotonic_clock, wall_clock};
    pub use self::wasi::io::poll;
    pub use self::wasi::random::{insecure, random};
}

/// The task data, or the default if the task has none.
pub fn settings<T: Default + serde::de::DeserializeOwned>() -> T {
    durable::task().data::<Option<T>>().unwrap_or_default()
}
