//! Sends one signed event to one URL and prints the attempt as JSON.
//!
//! ```text
//! $ cargo run --example send_event -- --url https://erp.example.com/hooks --secret whsec_… \
//!       --type shipment.shipped --data '{"order":"A-7"}'
//! ```
//!
//! `--help` lists the options. It goes the way that every event goes: catalogue, webhook, worker, egress rules, log.
//! Exit status: 0 if the receiver took it, 1 if it did not, 2 if nothing was sent.

mod options;
mod report;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use crossdock::Hub;
use crossdock::events::{EventCatalog, EventTypeSpec, NewEvent};
use crossdock::tenancy::{Actor, TenantId};
use crossdock::webhooks::{DeliveryQuery, DeliveryRecord, NewWebhook, RetryPolicy};

use crate::options::{Asked, Options};

const DELIVERED: u8 = 0;
const NOT_DELIVERED: u8 = 1;
const NOTHING_SENT: u8 = 2;

fn main() -> ExitCode {
    let status = match run() {
        Ok(status) => status,
        Err(error) => {
            // Nobody is left to tell if even this cannot be written.
            let _ = writeln!(io::stderr(), "error: {error}");
            NOTHING_SENT
        }
    };
    ExitCode::from(status)
}

fn run() -> Result<u8, Box<dyn Error>> {
    let options = match options::read(std::env::args().skip(1))? {
        Asked::Help => {
            write!(io::stdout(), "{}", options::HELP)?;
            return Ok(DELIVERED);
        }
        Asked::Send(options) => options,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = runtime.block_on(send(*options))?;
    let delivered = sent.attempts.last().is_some_and(|attempt| attempt.succeeded());
    writeln!(io::stdout(), "{:#}", report::report(&sent, delivered))?;
    Ok(if delivered { DELIVERED } else { NOT_DELIVERED })
}

async fn send(options: Options) -> Result<DeliveryRecord, Box<dyn Error>> {
    let catalog = EventCatalog::new().with(EventTypeSpec::new(&options.event_type));
    let hub = Hub::builder().events(catalog).egress(options.egress).build()?;

    let tenant: TenantId = "command_line".parse()?;
    let you = hub.admin(Actor::org_admin(tenant.clone(), "you"));
    let webhook = NewWebhook::to(options.url)
        .events([&options.event_type])
        .secret(options.secret)
        .schemes([options.scheme])
        .format(options.format)
        .retry(RetryPolicy::none());
    you.webhooks().create(webhook).await?;

    hub.publish(NewEvent::from_json(tenant, options.event_type, options.data)).await?;
    hub.worker().run_until_idle().await;

    let log = you.deliveries().list(DeliveryQuery::new().with_attempts()).await?;
    Ok(log.items.into_iter().next().ok_or("the log holds no delivery")?)
}
