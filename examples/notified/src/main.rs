//! Prints its notifications, until one of them says `task-exit`.

fn main() {
    loop {
        let notification = durable::notify::wait();
        println!("got {}: {}", notification.event, notification.data);
        if notification.event == "task-exit" {
            break;
        }
    }
}
