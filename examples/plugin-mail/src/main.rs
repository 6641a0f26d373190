//! Welcomes a customer: one mail at once, a reminder a while later. In between
//! the team is told.
//!
//! Task data: `{"to": ADDRESS, "seconds": N, "team": [ADDRESS, ...]}`.

use std::thread::sleep;
use std::time::Duration;

use acme::mail::send::{domain_of, quota, send, Draft, Message, Refusal};

wit_bindgen::generate!({ path: "wit", world: "mail", generate_all });

#[derive(serde::Deserialize)]
struct Customer {
    to: String,
    /// How long the reminder waits.
    seconds: f64,
    #[serde(default)]
    team: Vec<String>,
}

fn main() {
    let customer: Customer = durable::task().data();
    let Some(domain) = domain_of(&customer.to) else {
        durable::abort(format!("{} is not an address", customer.to));
    };
    println!("a customer at {domain}; {} messages left today", quota());

    let welcome = write(&customer.to, "Welcome", "We are glad that you are here.");
    println!("welcome: {}", told(welcome));

    if !customer.team.is_empty() {
        // One event for all of them. If the worker dies in between, all of them
        // are sent again.
        let told = durable::transaction("tell the team", || {
            let told = customer.team.iter().filter(|colleague| {
                write(colleague, "A customer", "Somebody new is here.").is_ok()
            });
            told.count()
        });
        println!("{told} of the team know");
    }

    sleep(Duration::from_secs_f64(customer.seconds));

    let reminder = Draft::new(&customer.to);
    reminder.add_line("Your basket is still empty.");
    reminder.add_line("Is there anything that we can do for you?");
    println!("reminder: {}", told(reminder.send("Are you there?")));
}

fn write(to: &str, subject: &str, body: &str) -> Result<String, Refusal> {
    send(&Message {
        to: to.into(),
        subject: subject.into(),
        body: body.into(),
    })
}

fn told(outcome: Result<String, Refusal>) -> String {
    match outcome {
        Ok(id) => format!("sent as {id}"),
        Err(Refusal::InvalidAddress(address)) => format!("{address} is not an address"),
        Err(Refusal::Refused(reason)) => format!("refused: {reason}"),
    }
}
