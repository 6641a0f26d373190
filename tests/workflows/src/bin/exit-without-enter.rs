//! Ends a transaction that was never begun: the host traps. Events: none.

fn main() {
    workflows::host::core::transaction_exit("null");
}
