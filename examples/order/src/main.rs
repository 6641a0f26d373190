//! An order of a shop: reserve the goods, charge the customer, wait until the
//! payment is confirmed, ship. If one of it does not work out, what was done is
//! undone. README.md tells what happens when the worker dies in between.
//!
//! Task data: `{"item": TEXT, "quantity": N, "cents": N, "payments": URL,
//! "patience": SECONDS}`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use durable::http::{self, Response, StatusCode};
use durable::sqlx::{self, Connection};
use durable::{notify, Error};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(serde::Deserialize)]
struct Order {
    item: String,
    quantity: i32,
    cents: i64,
    /// The address of the payment service.
    payments: String,
    /// How many seconds the confirmation of the payment may take.
    patience: u64,
}

/// What the payment service is told, on `charge` as on `refund`.
#[derive(serde::Serialize)]
struct Payment {
    order: i64,
    cents: i64,
}

/// What comes with the notification `payment`.
#[derive(serde::Deserialize)]
struct Confirmation {
    confirmed: bool,
}

type Undo = fn(i64, &Order) -> Result<(), Error>;

fn main() {
    let task = durable::task();
    let (id, order) = (task.id(), task.data());

    let mut undo = Vec::new();
    match fulfil(id, &order, &mut undo) {
        Ok(()) => println!("shipped"),
        Err(error) => {
            println!("going back: {error}");
            for undo in undo.into_iter().rev() {
                // The task is failed then, and a person has to look at it.
                undo(id, &order).unwrap_or_else(|error| durable::abort(error));
            }
            println!("cancelled");
        }
    }
}

/// Do everything, and list what would have to be done to undo it.
fn fulfil(id: i64, order: &Order, undo: &mut Vec<Undo>) -> Result<(), Error> {
    reserve(id, order)?;
    undo.push(release);
    // Before the charge: if it fails, nobody knows whether it was made.
    undo.push(refund);
    charge(id, order)?;
    wait_for_confirmation(order)?;
    ship(id)
}

/// Take the goods from the stock.
fn reserve(id: i64, order: &Order) -> Result<(), Error> {
    let in_stock = sqlx::transaction("reserve", |mut conn| -> sqlx::Result<bool> {
        let taken = sqlx::query(
            "UPDATE shop.stock SET available = available - $2 WHERE item = $1 AND available >= $2",
        )
        .bind(&order.item)
        .bind(order.quantity)
        .execute(&mut conn)?;
        if taken.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO shop.orders (id, item, quantity, cents, state)
             VALUES ($1, $2, $3, $4, 'reserved')",
        )
        .bind(id)
        .bind(&order.item)
        .bind(order.quantity)
        .bind(order.cents)
        .execute(&mut conn)?;
        log_step(&mut conn, id, "reserved")?;
        Ok(true)
    })?;
    if in_stock {
        Ok(())
    } else {
        Err(Error::msg("out of stock"))
    }
}

/// Give the goods back.
fn release(id: i64, order: &Order) -> Result<(), Error> {
    sqlx::transaction("release", |mut conn| -> sqlx::Result<()> {
        sqlx::query("UPDATE shop.stock SET available = available + $2 WHERE item = $1")
            .bind(&order.item)
            .bind(order.quantity)
            .execute(&mut conn)?;
        set_state(&mut conn, id, "cancelled")
    })?;
    Ok(())
}

fn ship(id: i64) -> Result<(), Error> {
    sqlx::transaction("ship", |mut conn| set_state(&mut conn, id, "shipped"))?;
    Ok(())
}

fn set_state(conn: &mut Connection, id: i64, state: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE shop.orders SET state = $2 WHERE id = $1")
        .bind(id)
        .bind(state)
        .execute(&mut *conn)?;
    log_step(conn, id, state)
}

fn log_step(conn: &mut Connection, id: i64, step: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO shop.steps (order_id, step) VALUES ($1, $2)")
        .bind(id)
        .bind(step)
        .execute(conn)?;
    Ok(())
}

/// Take the money. After some attempts we give up, and rather lose the order.
fn charge(id: i64, order: &Order) -> Result<(), Error> {
    persistently(5, || tell_payments("charge", id, order))?;
    Ok(())
}

/// Give the money back, however long it takes. The payment service ignores it
/// if it never took any.
fn refund(id: i64, order: &Order) -> Result<(), Error> {
    persistently(u32::MAX, || tell_payments("refund", id, order))?;
    Ok(())
}

/// A request may arrive twice, if this worker dies before it records the answer.
/// The payment service recognises it by its key, which is always the same.
fn tell_payments(what: &str, order_id: i64, order: &Order) -> Result<Response, http::Error> {
    http::post(format!("{}/{what}", order.payments))
        .header("idempotency-key", format!("{what}-{order_id}"))
        .json(&Payment {
            order: order_id,
            cents: order.cents,
        })
        .timeout(Duration::from_secs(10))
        .send()?
        .error_for_status()
}

/// Try again, less and less often, as long as that may help.
fn persistently(
    attempts: u32,
    request: impl Fn() -> Result<Response, http::Error>,
) -> Result<Response, http::Error> {
    let mut pause = Duration::from_secs(1);
    for _ in 1..attempts {
        match request() {
            Err(error) if may_pass(&error) => println!("again in {pause:?}: {error}"),
            outcome => return outcome,
        }
        sleep(pause);
        pause = (2 * pause).min(HOUR);
    }
    request()
}

/// Whether the same request may have another outcome later.
fn may_pass(error: &http::Error) -> bool {
    match error.status() {
        Some(status) => status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        None => !error.is_builder(),
    }
}

/// The payment service, or whoever listens to it, sends the notification
/// `payment` to this task. If it comes early, it waits for us.
fn wait_for_confirmation(order: &Order) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(order.patience);
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        let Some(notification) = notify::wait_with_timeout(patience) else {
            return Err(Error::msg("the payment was not confirmed in time"));
        };
        if notification.event != "payment" {
            println!("ignored: {}", notification.event);
        } else if notification.json::<Confirmation>()?.confirmed {
            return Ok(());
        } else {
            return Err(Error::msg("the payment was refused"));
        }
    }
}
