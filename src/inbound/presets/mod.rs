//! The schemes of known providers.
//!
//! What each of them checks, where its ids come from and which page says so is in the guide on
//! [providers](crate::guides::inbound_providers).
//!
//! ```
//! use crossdock::inbound::presets;
//!
//! let scheme = presets::by_name("stripe").ok_or("unknown")?;
//!
//! assert_eq!(scheme, presets::stripe());
//! # Ok::<(), &str>(())
//! ```

mod coded;
mod commerce;
mod developer;
mod generic;
mod messaging;
mod payments;
mod shipping;
mod standard;
mod support;

pub use coded::{amazon_sns, paypal, twilio};
pub use commerce::{bigcommerce, shopify, square, woocommerce};
pub use developer::{discord, github, linear, meta, microsoft_graph};
pub use generic::{convoy_advanced, convoy_simple, generic, generic_in};
pub use messaging::{mailgun, slack};
pub use payments::{adyen, adyen_header, paddle, quickbooks, stripe, xero};
pub use shipping::{easypost, sendcloud, shippo};
pub use standard::{standard_webhooks, standard_webhooks_ed25519, svix};
pub use support::{hubspot, hubspot_v1, hubspot_v2, intercom, zendesk};

use crate::inbound::scheme::field::{Field, Pointer};
use crate::inbound::scheme::model::{Algorithm, Scheme, SignatureText};

/// The scheme of this name; `None` if there is none.
pub fn by_name(name: &str) -> Option<Scheme> {
    all().into_iter().find_map(|(known, scheme)| (known == name).then_some(scheme))
}

/// All schemes that are data and take no arguments, by name; `convoy` and `generic` with their usual ones.
pub fn all() -> Vec<(&'static str, Scheme)> {
    vec![
        ("adyen", adyen()),
        ("adyen_header", adyen_header()),
        ("bigcommerce", bigcommerce()),
        ("convoy", convoy_simple(Algorithm::HmacSha256, SignatureText::Hex)),
        ("convoy_advanced", convoy_advanced(Algorithm::HmacSha256, SignatureText::Hex)),
        ("discord", discord()),
        ("easypost", easypost()),
        ("generic", generic()),
        ("github", github()),
        ("hubspot", hubspot()),
        ("hubspot_v1", hubspot_v1()),
        ("hubspot_v2", hubspot_v2()),
        ("intercom", intercom()),
        ("linear", linear()),
        ("mailgun", mailgun()),
        ("meta", meta()),
        ("microsoft_graph", microsoft_graph()),
        ("paddle", paddle()),
        ("quickbooks", quickbooks()),
        ("sendcloud", sendcloud()),
        ("shippo", shippo()),
        ("shopify", shopify()),
        ("slack", slack()),
        ("square", square()),
        ("standard_webhooks", standard_webhooks()),
        ("standard_webhooks_ed25519", standard_webhooks_ed25519()),
        ("stripe", stripe()),
        ("svix", svix()),
        ("woocommerce", woocommerce()),
        ("xero", xero()),
        ("zendesk", zendesk()),
    ]
}

/// A field of a preset; the tests make every preset.
fn at(text: &str) -> Field {
    text.parse().expect("a preset's field is one")
}

fn fields<const N: usize>(texts: [&str; N]) -> Vec<Field> {
    texts.into_iter().map(at).collect()
}

fn pointer(text: &str) -> Pointer {
    text.parse().expect("a preset's pointer is one")
}
