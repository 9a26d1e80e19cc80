//! What inbound schemes take and refuse, from outside the crate.

mod cases;
mod envelopes;
mod forgeries;
mod handshakes;
mod presets;
mod properties;
mod provider_keys;
mod vectors;

use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = presets::trials();
    trials.extend(envelopes::trials());
    trials.extend(forgeries::trials());
    trials.extend(handshakes::trials());
    trials.extend(properties::trials());
    trials.extend(provider_keys::trials());
    trials.extend(vectors::trials());
    trials
}
