//! Settings of the tests themselves: variables of the environment that make a run longer, or repeat one.

/// The number in a variable, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: `{text}` is not a whole number")))
}

/// The seed in a variable, else one of this run; it is printed, so that a failure can be repeated.
pub fn seed(variable: &str) -> u64 {
    let seed = number(variable).unwrap_or_else(|| u64::from(std::process::id()));
    println!("{variable}={seed}");
    seed
}
