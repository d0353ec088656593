//! What a person who starts the server reads on standard output.

use std::io::{self, Write};

use crate::apps::ApiKey;
use crate::context::Context;
use crate::development::seed::SEED_FILE;

/// Prints what to open and what to do next. `demo` is the API key of the demo application, in development mode.
pub fn print(context: &Context, demo: Option<&ApiKey>, has_apps: bool) {
    let text = zeroize::Zeroizing::new(text(context, demo, has_apps));
    // Nobody may be there to read it; that is no reason to end.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn text(context: &Context, demo: Option<&ApiKey>, has_apps: bool) -> String {
    let folder = &context.settings.data;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let folder = folder.display();
    let Some(key) = demo else {
        let next = if has_apps {
            String::new()
        } else {
            format!("\n  There is no application yet: sidekey app create --data {folder} --name NAME\n")
        };
        return format!("\n  Sidekey is ready on {}\n  Data folder: {folder}\n{next}\n", context.issuer);
    };
    format!(
        "
  ============================================================================
    DEVELOPMENT MODE. Anybody can sign in to the demo application, the keys
    lie beside the data, and the clock can be advanced. Not for real accounts.
  ============================================================================

  Sign in to the demo application   {demo}   (development mode only)
  Administration                    {admin}
  API key of application `demo`     {key}
  Data folder                       {folder}
{seeded}
  Ctrl+C stops the server.

",
        demo = context.url("/demo/"),
        admin = context.url("/admin/"),
        key = key.expose(),
        seeded = match context.settings.seed {
            Some(_) => format!("  Users for tests                   {folder}/{SEED_FILE}\n"),
            None => String::new(),
        },
    )
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;

    #[tokio::test]
    async fn it_says_what_to_open() {
        let now = UnixTime::from_secs(1_790_000_000);
        let (folder, context) = crate::context::testing::context(now, &["--base-path", "/auth"]).await;
        let key = ApiKey::generate(&mut crate::entropy::Entropy);
        let text = text(&context, Some(&key), true);
        let data = folder.path().canonicalize().unwrap().display().to_string();
        for part in
            ["DEVELOPMENT MODE", "http://127.0.0.1:8080/auth/demo/", "/auth/admin/", key.expose(), &data]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[tokio::test]
    async fn outside_development_mode_it_shows_no_key_and_leads_to_the_first_app() {
        let (_folder, context) =
            crate::context::testing::context(UnixTime::from_secs(1_790_000_000), &[]).await;
        assert!(text(&context, None, false).contains("sidekey app create"));
        let text = text(&context, None, true);
        assert!(!text.contains("sidekey app create") && !text.contains("demo"), "{text}");
    }
}
