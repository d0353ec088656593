//! The look-up of routes for `tests/fuzz`, without a server around it.

use http::{Method, StatusCode};

use super::{
    matching::{find, matches},
    table::TABLE,
};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The pattern in the table.
    pub pattern: &'static str,
    /// What stands for its `{}` or `**`, percent-decoded.
    pub name: Option<String>,
}

/// What `method` and `path` lead to under `base_path`, inside or outside development mode.
///
/// # Errors
/// The status of the refusal.
pub fn look_up(base_path: &str, development: bool, method: &Method, path: &str) -> Result<Route, StatusCode> {
    find(base_path, development, method, path)
        .map(|found| Route { pattern: found.pattern, name: found.name })
        .map_err(|missed| missed.problem.into_reply().status())
}

/// Every row of the table: its method and its pattern.
pub fn rows() -> impl Iterator<Item = (&'static Method, &'static str)> {
    TABLE.iter().map(|(method, pattern, ..)| (method, *pattern))
}

/// What stands for the `{}` or `**` of `pattern`, still encoded, if `path` (without its final slash) has its form.
pub fn encoded_name<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    matches(pattern, path)
}
