//! How much processor time this process has used: unlike rates, it hardly depends on what else the machine does.

use std::time::Duration;

use crate::engine::Failure;

/// What all threads have used since the process began.
pub(crate) fn used() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the command, which is in parentheses; user and system time are the 14th and 15th field of the line.
    let (_, fields) = text.rsplit_once(')').ok_or("no command in /proc/self/stat")?;
    let mut times = fields.split_whitespace().skip(11);
    let mut ticks =
        || -> Result<u64, Failure> { Ok(times.next().ok_or("no times in /proc/self/stat")?.parse()?) };
    Ok(TICK * u32::try_from(ticks()? + ticks()?)?)
}

/// The unit in which Linux counts, on every architecture.
const TICK: Duration = Duration::from_millis(10);
