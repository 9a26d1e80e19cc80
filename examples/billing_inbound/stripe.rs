//! What the billing provider's notifications do.

use crossdock::HubBuilder;
use crossdock::inbound::{Incoming, Route};
use rusqlite::Transaction;
use serde::Deserialize;

use crate::books::{Books, Entered};

#[derive(Deserialize)]
struct Event<T> {
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    object: T,
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    customer: String,
    plan: Plan,
}

#[derive(Deserialize)]
struct Plan {
    id: String,
}

#[derive(Deserialize)]
struct Invoice {
    id: String,
    customer: String,
    /// In cents.
    amount_due: i64,
}

/// The five types that this product acts on. Whatever else comes is kept as `ignored`.
pub(crate) fn routes(hub: HubBuilder, books: &Books) -> HubBuilder {
    let [created, updated, deleted, paid, failed] = [(); 5].map(|()| books.clone());
    // What happens to one customer's subscription happens in its order, and what is older than what was handled is dropped. Payments
    // are facts: none of them is dropped because a newer one came first.
    let ordered = |route: Route| route.in_order_by("/data/object/customer");
    hub.route(ordered(Route::new("stripe", "customer.subscription.created", move |event| {
        let entered = record(&created, &event, "recorded");
        async move { entered }
    })))
    .route(ordered(Route::new("stripe", "customer.subscription.updated", move |event| {
        let entered = record(&updated, &event, "recomputed");
        async move { entered }
    })))
    .route(ordered(Route::new("stripe", "customer.subscription.deleted", move |event| {
        let entered = revoke(&deleted, &event);
        async move { entered }
    })))
    .on("stripe", "invoice.paid", move |event| {
        let entered = pay(&paid, &event);
        async move { entered }
    })
    .on("stripe", "invoice.payment_failed", move |event| {
        let entered = fail(&failed, &event);
        async move { entered }
    })
}

/// The record, and the features of its plan.
fn record(books: &Books, event: &Incoming<Event<Subscription>>, done: &str) -> Entered {
    let subscription = &event.payload.data.object;
    books.enter(event, |transaction| {
        let (plan, features) = (&*subscription.plan.id, features(&subscription.plan.id));
        set(transaction, &subscription.customer, Some(&subscription.id), plan, features)?;
        Ok(format!("{} is {done}: {plan}, which has {features}", subscription.customer))
    })
}

/// Downgraded to what is free, and the features revoked.
fn revoke(books: &Books, event: &Incoming<Event<Subscription>>) -> Entered {
    let customer = &event.payload.data.object.customer;
    books.enter(event, |transaction| {
        set(transaction, customer, None, "free", features("free"))?;
        Ok(format!("{customer} is downgraded, and its features are revoked"))
    })
}

fn set(
    transaction: &Transaction<'_>,
    customer: &str,
    subscription: Option<&str>,
    plan: &str,
    features: &str,
) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO billing (customer, subscription, plan, features) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (customer) DO UPDATE SET subscription = ?2, plan = ?3, features = ?4",
        (customer, subscription, plan, features),
    )
}

fn pay(books: &Books, event: &Incoming<Event<Invoice>>) -> Entered {
    let Invoice { id, customer, amount_due } = &event.payload.data.object;
    books.enter(event, |transaction| {
        transaction.execute(
            "INSERT INTO payment (invoice, customer, amount) VALUES (?1, ?2, ?3)",
            (id, customer, amount_due),
        )?;
        let entry = format!("{customer} has paid {amount_due} for {id}");
        transaction.execute("INSERT INTO audit (entry) VALUES (?1)", [&entry])?;
        Ok(entry)
    })
}

fn fail(books: &Books, event: &Incoming<Event<Invoice>>) -> Entered {
    let Invoice { id, customer, amount_due } = &event.payload.data.object;
    books.enter(event, |transaction| {
        transaction.execute(
            "INSERT INTO failure (invoice, customer, amount) VALUES (?1, ?2, ?3)",
            (id, customer, amount_due),
        )?;
        let about = format!("{customer} could not pay {amount_due} for {id}");
        transaction.execute("INSERT INTO alert (operator, about) VALUES ('billing', ?1)", [&about])?;
        Ok(format!("{about}: the operator is told"))
    })
}

fn features(plan: &str) -> &'static str {
    match plan {
        "pro" => "orders, stock, forecasts",
        "starter" => "orders, stock",
        _ => "nothing beyond the free plan",
    }
}
