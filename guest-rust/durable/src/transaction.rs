//! Transactions: what a workflow does only once.

use std::io::{stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::bindings::durable::core::core as host;
use crate::json;

/// Whether a transaction is open. The panic hook wants to know.
static OPEN: AtomicBool = AtomicBool::new(false);

/// What undoes the open transaction, if it is one for SQL. (A function pointer,
/// so that a program without SQL does not import it.)
static UNDO: Mutex<Option<Undo>> = Mutex::new(None);

/// See to it that nothing of the open transaction takes effect.
pub(crate) type Undo = fn();

/// How a transaction ended, as it is written into the journal.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
enum Outcome<'a, T> {
    Value(T),
    Panic(&'a str),
}

/// An [`Outcome`] as it is read back.
///
/// The database sorts the keys of an object, so `data` comes first and must be
/// set aside until `type` is known. Serde would set it aside in a form from
/// which not every type can be read; the text itself always does.
#[derive(Deserialize)]
struct Recorded<'a> {
    r#type: Kind,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Value,
    Panic,
}

/// Run `f` once and for all, and record what it returns.
///
/// Everything that touches the world beyond this program belongs into a
/// transaction. When the task is run again after a crash, a transaction that
/// was recorded is not run but answered from the record. One that was open
/// when the machine died runs again as a whole.
///
/// The value goes through JSON also the first time, so that the program sees
/// the same on every run. A float of -0.0 is always 0.0 afterwards. What may
/// change is the order of an object's keys, and the text of numbers and of JSON
/// that a type keeps as text, such as a [`RawValue`]: it says the same in the
/// way in which the database prints it (`1.0e5` as `100000`). An object must
/// not have a key twice: the database keeps the last one only.
///
/// Text that `f` prints is logged with the transaction.
///
/// ```no_run
/// let lucky_number = durable::transaction("draw", || {
///     println!("drawing");
///     7
/// });
/// ```
///
/// # Panics
///
/// If `f` panics, that is recorded too, and panics with the same message on
/// every run. It also panics within another transaction, and if the recorded
/// value cannot be read as a `T`.
#[track_caller]
pub fn transaction<T, F>(label: &str, f: F) -> T
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    run(label, None, f)
}

/// As [`transaction`]; with `undo` it is one for SQL.
#[track_caller]
pub(crate) fn run<T, F>(label: &str, undo: Option<Undo>, f: F) -> T
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    match attempt(label, undo, f) {
        Ok(value) => value,
        Err(error) => panic!("cannot read the record of transaction {label:?}: {error}"),
    }
}

/// As [`run`]; a record that cannot be read as a `T` is an error.
#[track_caller]
pub(crate) fn attempt<T, F>(label: &str, undo: Option<Undo>, f: F) -> serde_json::Result<T>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    assert!(
        !is_open(),
        "transaction {label:?} was begun within another transaction"
    );
    flush();
    let recorded = match begin(label, undo) {
        Some(recorded) => recorded,
        None => {
            let outcome = encode(&Outcome::Value(f()));
            flush();
            exit(&outcome);
            outcome
        }
    };
    match decode(&recorded)? {
        Ok(value) => Ok(value),
        Err(panic) => panic!("{panic}"),
    }
}

/// Whether a transaction is open.
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

/// Begin a transaction, unless it is recorded already.
pub(crate) fn enter(label: &str) -> Option<String> {
    begin(label, None)
}

fn begin(label: &str, undo: Option<Undo>) -> Option<String> {
    let recorded = host::transaction_enter(label, undo.is_some());
    OPEN.store(recorded.is_none(), Ordering::Relaxed);
    set_undo(undo);
    recorded
}

fn set_undo(undo: Option<Undo>) -> Option<Undo> {
    std::mem::replace(&mut *UNDO.lock().unwrap_or_else(|e| e.into_inner()), undo)
}

fn exit(outcome: &str) {
    host::transaction_exit(outcome);
    OPEN.store(false, Ordering::Relaxed);
}

/// End the open transaction with `null` as its value.
pub(crate) fn exit_with_nothing() {
    exit(&encode(&Outcome::Value(())));
}

/// End the open transaction with the message of a panic.
pub(crate) fn exit_with_panic(message: &str) {
    if let Some(undo) = set_undo(None) {
        undo();
    }
    exit(&encode(&Outcome::Panic::<()>(message)));
}

/// Write out what the standard library still holds back.
///
/// Half a line that was printed before a transaction must not be logged with
/// it, nor one that was printed within it after it: a run that skips the body
/// would then write something else than this one.
pub(crate) fn flush() {
    // An error would be told by the next println!, as ever.
    let _ = stdout().flush();
}

#[track_caller]
fn encode<T: Serialize>(outcome: &Outcome<T>) -> String {
    match json::to_string(outcome) {
        Ok(json) => json,
        Err(error) => panic!("the result of a transaction is not expressible in JSON: {error}"),
    }
}

/// Read what a transaction recorded: its value, or the message of its panic.
fn decode<T: DeserializeOwned>(recorded: &str) -> serde_json::Result<Result<T, String>> {
    let recorded: Recorded = serde_json::from_str(recorded)?;
    let data = recorded.data.get();
    Ok(match recorded.r#type {
        Kind::Value => Ok(serde_json::from_str(data)?),
        Kind::Panic => Err(serde_json::from_str(data)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_recorded_with_its_type() {
        let json = encode(&Outcome::Value(("paid", 7)));
        assert_eq!(json, r#"{"type":"value","data":["paid",7]}"#);
    }

    #[test]
    fn a_panic_is_recorded_with_its_message() {
        let json = encode(&Outcome::Panic::<()>("boom"));
        assert_eq!(json, r#"{"type":"panic","data":"boom"}"#);
    }

    #[test]
    fn a_record_is_read_whatever_the_order_of_its_keys() {
        for json in [
            r#"{"type":"value","data":[1,{"a":null}]}"#,
            r#"{"data": [1, {"a": null}], "type": "value"}"#,
        ] {
            let value: (u8, Box<RawValue>) = decode(json).unwrap().unwrap();
            assert_eq!(value.0, 1);
        }
    }

    #[test]
    fn a_recorded_panic_is_read_whatever_the_type_of_the_value() {
        let outcome = decode::<u64>(r#"{"data": "boom", "type": "panic"}"#).unwrap();
        assert_eq!(outcome, Err("boom".to_owned()));
    }

    #[test]
    fn numbers_keep_every_digit() {
        for number in [0.1 + 0.2, 1e-7, f64::MAX, f64::MIN_POSITIVE] {
            let json = encode(&Outcome::Value(number));
            assert_eq!(decode::<f64>(&json).unwrap(), Ok(number));
        }
        let json = encode(&Outcome::Value(u64::MAX));
        assert_eq!(decode::<u64>(&json).unwrap(), Ok(u64::MAX));
    }

    #[test]
    fn a_value_is_the_same_as_after_the_database_had_it() {
        let json = encode(&Outcome::Value((-0.0, 1e16, 1e-7)));
        assert_eq!(
            json,
            r#"{"type":"value","data":[0.0,10000000000000000.0,1e-7]}"#
        );
        let stored = r#"{"data": [0.0, 10000000000000000.0, 0.0000001], "type": "value"}"#;
        let live: serde_json::Value = decode(&json).unwrap().unwrap();
        let replayed: serde_json::Value = decode(stored).unwrap().unwrap();
        assert_eq!(live.to_string(), replayed.to_string());
    }

    #[test]
    fn another_type_than_the_recorded_one_is_an_error() {
        assert!(decode::<u64>(r#"{"type":"value","data":"seven"}"#).is_err());
        assert!(decode::<u64>("null").is_err());
    }
}
