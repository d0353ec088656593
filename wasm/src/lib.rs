//! Sidekey core in the browser.
