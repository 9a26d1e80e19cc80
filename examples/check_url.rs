//! Says of each URL or address whether it would be called.
//!
//! Reads the arguments, or line by line from the standard input if there are none, and prints `allow` or
//! `deny: reason`, one line each:
//!
//! ```text
//! $ cargo run --example check_url -- https://erp.example.com/ https://0x7f.1/ 169.254.169.254
//! allow
//! deny: loopback
//! deny: link-local
//! ```
//!
//! `--allow CIDR` permits a network, as an operator would, and `--http` permits plain HTTP. Names are not looked up.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::net::IpAddr;

use crossdock::primitives::EgressPolicy;

fn main() -> Result<(), Box<dyn Error>> {
    let mut policy = EgressPolicy::default();
    let mut inputs = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--http" => policy = policy.dangerous_allow_http(),
            "--allow" => {
                let network =
                    arguments.next().ok_or("--allow is followed by a network such as 10.20.0.0/16")?;
                policy = policy.allow_networks([network.parse()?]);
            }
            unknown if unknown.starts_with("--") => {
                return Err(format!("there is no option {unknown}").into());
            }
            _ => inputs.push(argument),
        }
    }

    let mut output = io::stdout().lock();
    if inputs.is_empty() {
        for line in io::stdin().lock().split(b'\n') {
            // A line that is not text is judged too: as a URL it holds a forbidden character.
            let line = String::from_utf8_lossy(&line?).into_owned();
            writeln!(output, "{}", verdict(&policy, &line))?;
        }
    } else {
        for input in inputs {
            writeln!(output, "{}", verdict(&policy, &input))?;
        }
    }
    Ok(())
}

fn verdict(policy: &EgressPolicy, input: &str) -> String {
    let refusal = match input.parse::<IpAddr>() {
        Ok(address) => policy.check_address(address).err().map(|refusal| refusal.reason()),
        Err(_) => policy.parse(input).err().map(|refusal| refusal.reason()),
    };
    refusal.map_or_else(|| "allow".to_owned(), |reason| format!("deny: {reason}"))
}
