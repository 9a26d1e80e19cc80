//! Inbound webhooks, from the request to the effect.
//!
//! | module | holds |
//! |---|---|
//! | `world` | a hub with a source of the platform's and handlers that write down what they get |
//! | `receiving` | forged, stale, late and repeated requests; stores that fail |
//! | `handling` | retries, order, panics, fairness, shutdown |
//! | `tenants` | what one tenant's administrators see and change, and another's do not |
//! | `effects` | an effect and its completion in one transaction of the host's |
//! | `over_http` | the route for axum: bodies, headers and sockets |
//! | `together` | two processes, one store: each event has one effect |

mod effects;
mod handling;
mod over_http;
mod receiving;
mod tenants;
mod together;
mod world;

use libtest_mimic::Trial;

pub(crate) use together::receive_and_handle;

pub(crate) fn trials() -> Vec<Trial> {
    [
        receiving::trials(),
        handling::trials(),
        tenants::trials(),
        effects::trials(),
        over_http::trials(),
        together::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
