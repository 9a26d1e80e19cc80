//! The contract of [`Entropy`], as far as a check can judge it: what is well mixed need not be unpredictable, but what is
//! not mixed is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ports::{Entropy, EntropyExt};
use crate::testing::conformance::{Check, Verdict, holds, same};

/// Every check of an [`Entropy`].
///
/// ```
/// use std::sync::Arc;
/// use crossdock::testing::SeededEntropy;
/// use crossdock::testing::conformance::entropy_suite;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// for check in entropy_suite() {
///     assert_eq!(check.run(Arc::new(SeededEntropy::new(7))).await, Ok(()), "{}", check.name());
/// }
/// # }
/// ```
pub fn entropy_suite() -> Vec<Check<dyn Entropy>> {
    checks!["entropy":
        a_buffer_is_filled_to_its_end,
        nothing_comes_twice,
        bits_fall_evenly,
    ]
}

async fn a_buffer_is_filled_to_its_end(entropy: Arc<dyn Entropy>) -> Verdict {
    for length in [0, 1, 7, 8, 10, 16, 32, 33, 1_000] {
        let mut seen = vec![0_u8; length];
        // A byte stays 0 through 64 fills with a probability of 2⁻⁵¹².
        for _ in 0..64 {
            let mut buffer = vec![0_u8; length];
            entropy.fill(&mut buffer);
            seen.iter_mut().zip(&buffer).for_each(|(seen, byte)| *seen |= byte);
        }
        holds(seen.iter().all(|&byte| byte != 0), "every byte is random")?;
    }
    Ok(())
}

async fn nothing_comes_twice(entropy: Arc<dyn Entropy>) -> Verdict {
    let thrown: BTreeSet<[u8; 16]> = (0..10_000).map(|_| entropy.bytes()).collect();

    same(thrown.len(), 10_000, "128 random bits do not meet again")
}

async fn bits_fall_evenly(entropy: Arc<dyn Entropy>) -> Verdict {
    let mut buffer = vec![0_u8; 100_000];
    entropy.fill(&mut buffer);

    let ones: u32 = buffer.iter().map(|byte| byte.count_ones()).sum();

    // 800,000 throws: the standard deviation is 447, so this is more than twenty of them.
    holds(ones.abs_diff(400_000) < 10_000, "half of all bits are set")
}
