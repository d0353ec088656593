//! Builds the server again when a page or the browser module has changed: the macro that embeds them does not say so for new files.

fn main() {
    println!("cargo::rerun-if-changed=../web");
}
