//! Inbound webhooks, from the request to the effect.
//!
//! | module | holds |
//! |---|---|
//! | `world` | a hub with a source of the platform's and handlers that write down what they get |
//! | `receiving` | forged, stale, late and repeated requests; stores that fail |
//! | `handling` | retries, order, panics, fairness, shutdown |
//! | `tenants` | what one tenant's administrators see and change, and another's do not |
//! | `erasure` | what was received about somebody goes |
//! | `effects` | an effect and its completion in one transaction of the host's |
//! | `over_http` | the route for axum: bodies, headers and sockets |
//! | `till` | a host's table of effects, beside what the hub keeps |
//! | `together` | two processes, one store: each event has one effect |

mod effects;
mod erasure;
mod handling;
mod over_http;
mod receiving;
mod tenants;
mod till;
mod together;
mod world;

use libtest_mimic::Trial;

pub(crate) use till::{Completing, HUSH, SHOP, Till};
pub(crate) use together::{receive_and_handle, standing};
pub(crate) use world::{signed, signer};

pub(crate) fn trials() -> Vec<Trial> {
    [
        receiving::trials(),
        handling::trials(),
        tenants::trials(),
        effects::trials(),
        erasure::trials(),
        over_http::trials(),
        together::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
