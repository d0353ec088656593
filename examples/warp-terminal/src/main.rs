//! A warp application with terminals, which it opens only to users who gave a second factor within the last hour.
//!
//! ```text
//! SIDEKEY_URL=http://127.0.0.1:8080 SIDEKEY_APP=demo PORT=3030 cargo run -p sidekey-example-warp-terminal
//! ```
//!
//! `GET /terminals` wants any second factor, `GET /terminals/{name}/connect` (a WebSocket) one of the last hour. Both take the access token of
//! the login as `Authorization: Bearer`; what is missing is said as RFC 9470 has it, so that a client knows that it should step up.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use sidekey_guard::{Guard, Login, refused};
use warp::{Filter, ws};

/// How old the second factor of whoever opens a terminal may be.
const FRESH: Duration = Duration::from_hours(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let sidekey =
        Guard::new(&setting("SIDEKEY_URL", "http://127.0.0.1:8080"), &setting("SIDEKEY_APP", "demo"))?;

    let list = warp::path!("terminals")
        .and(sidekey.require_2fa())
        .map(|login: Login| format!("terminals of {}: build, deploy\n", login.user));
    let connect = warp::path!("terminals" / String / "connect")
        .and(sidekey.require_2fa_within(FRESH))
        .and(warp::ws())
        .map(|name, login: Login, upgrade: ws::Ws| {
            upgrade.on_upgrade(move |socket| terminal(name, login.user, socket))
        });
    let routes = list.or(connect).recover(refused);

    let address: SocketAddr = format!("127.0.0.1:{}", setting("PORT", "3030")).parse()?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    warp::serve(routes).incoming(listener).run().await;
    Ok(())
}

/// Greets, and then gives back whatever is typed.
async fn terminal(name: String, user: String, socket: ws::WebSocket) {
    let (mut answers, mut typed) = socket.split();
    if answers.send(ws::Message::text(format!("{user}@{name}$"))).await.is_err() {
        return;
    }
    while let Some(Ok(line)) = typed.next().await {
        if !line.is_text() || answers.send(line).await.is_err() {
            return;
        }
    }
}
