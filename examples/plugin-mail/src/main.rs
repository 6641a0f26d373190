//! Welcomes a customer: one mail at once, a reminder a while later.
//!
//! Task data: `{"to": ADDRESS, "seconds": N}`.

use std::thread::sleep;
use std::time::Duration;

use acme::mail::send::{domain_of, quota, send, Draft, Message, Refusal};

wit_bindgen::generate!({ path: "wit", world: "mail", generate_all });

#[derive(serde::Deserialize)]
struct Customer {
    to: String,
    /// How long the reminder waits.
    seconds: f64,
}

fn main() {
    let customer: Customer = durable::task().data();
    let Some(domain) = domain_of(&customer.to) else {
        durable::abort(format!("{} is not an address", customer.to));
    };
    println!("a customer at {domain}; {} messages left today", quota());

    let welcome = send(&Message {
        to: customer.to.clone(),
        subject: "Welcome".into(),
        body: "We are glad that you are here.".into(),
    });
    println!("welcome: {}", told(welcome));

    sleep(Duration::from_secs_f64(customer.seconds));

    let reminder = Draft::new(&customer.to);
    reminder.add_line("Your basket is still empty.");
    reminder.add_line("Is there anything that we can do for you?");
    println!("reminder: {}", told(reminder.send("Are you there?")));
}

fn told(outcome: Result<String, Refusal>) -> String {
    match outcome {
        Ok(id) => format!("sent as {id}"),
        Err(Refusal::InvalidAddress(address)) => format!("{address} is not an address"),
        Err(Refusal::Refused(reason)) => format!("refused: {reason}"),
    }
}
