//! The service manager: a socket that it has opened, and what it is told of the server (`sd_listen_fds(3)`, `sd_notify(3)`).
//!
//! Under systemd the unit is of `Type=notify-reload`; without a service manager nothing here does anything.

use std::net::TcpListener;
use std::sync::Arc;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use sd_notify::NotifyState;

use crate::store::Engine;

/// The socket that the service manager has opened for this process, if it has: it counts before the setting `listen`.
///
/// Takes the variables `LISTEN_*` out of the environment: for the start of the process, before other threads exist.
///
/// # Errors
/// Several sockets were passed, or one that does not listen for TCP; a sentence with the remedy.
pub fn passed_listener() -> Result<Option<TcpListener>, String> {
    let mut passed = ListenFd::from_env();
    if passed.len() > 1 {
        return Err(format!(
            "the service manager passes {} sockets, and the server takes one: leave one `ListenStream=` in the socket unit",
            passed.len()
        ));
    }
    if passed.len() == 0 {
        return Ok(None);
    }
    let unusable = |error: String| {
        format!(
            "the socket that the service manager passes cannot be used: {error}; the socket unit needs one \
             `ListenStream=ADDRESS:PORT` and `Accept=no`"
        )
    };
    let listener = passed.take_tcp_listener(0).map_err(|error| unusable(error.to_string()))?;
    if let Some(listener) = &listener {
        match socket_acceptconn(listener) {
            Ok(true) => {}
            Ok(false) => return Err(unusable("it does not listen".to_owned())),
            Err(error) => return Err(unusable(error.to_string())),
        }
        listener.set_nonblocking(true).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(listener)
}

/// Tells that requests are taken, after a start and after each reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the settings are being read again; [`ready`] follows. The time is what tells systemd that this answers its
/// own signal (`Type=notify-reload` in `systemd.service(5)`).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told of the reload"),
    }
}

/// Tells that the server is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells twice in each period that the service manager asks for (`WatchdogSec=`) that the server is alive, for as long as its folder
/// takes changes. A database that is away is no reason for a restart. Ends at once where nobody asks.
pub async fn watchdog(engine: Arc<dyn Engine>) {
    let half = sd_notify::watchdog_enabled().map(|period| period / 2);
    let Some(half) = half.filter(|half| !half.is_zero()) else { return };
    let mut interval = tokio::time::interval(half);
    loop {
        interval.tick().await;
        if engine.is_shared() || engine.is_healthy() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Does nothing where no service manager listens.
fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
