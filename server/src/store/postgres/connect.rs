//! Connections, and what the server must be set to before anything is trusted to it.
//!
//! Each new connection is looked at, not only the first: after a failover it leads to another server with settings of its own.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::ClientConfig;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::sentence;
use super::hosts::{self, InTurn, Turns};
use crate::store::engine::StoreError;

/// Waiting for a connection, for a new one to be made, and for the server to answer at all.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// What every connection is set to.
///
/// - `synchronous_commit`: see [`demand`].
/// - `statement_timeout` is off on purpose. A statement that is cancelled while COMMIT waits for a standby *succeeds* with a
///   warning, committed here and not there (src/backend/replication/syncrep.c, `SyncRepWaitForLSN`): what took too long would be
///   acknowledged without being safe. So no statement is ever cancelled, neither by the server nor by us: who has waited long
///   enough drops the connection, and then nobody is told anything.
///   `transaction_timeout` is the same for a whole transaction, from `PostgreSQL` 17 on.
/// - `lock_timeout` ends waits for locks only.
/// - `idle_in_transaction_session_timeout` frees the locks of a process that hangs.
/// - Transactions read only, unless their BEGIN says otherwise: where that BEGIN fails, and the statements sent after it are each a
///   transaction of its own, none of them writes anything.
const SESSION: &str = "SET synchronous_commit = on; SET statement_timeout = 0; SET lock_timeout = '5s'; \
                       SET idle_in_transaction_session_timeout = '60s'; \
                       SET default_transaction_isolation = 'read committed'; \
                       SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'; \
                       SET default_transaction_read_only = on";

/// How the server is reached.
#[derive(Clone)]
pub struct Options {
    /// Where and as whom.
    pub config: Config,
    /// TLS, which is demanded then; `None`: plain, for this machine only.
    pub tls: Option<Arc<ClientConfig>>,
    /// Most connections of this process for its requests.
    pub pool_size: usize,
    /// Whether a server that may lose what it has acknowledged will do: for tests of anything but that.
    pub volatile: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The configuration has a password.
        f.debug_struct("Options").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

impl Options {
    /// Whether all hosts are this machine, by socket or loopback.
    pub fn is_local(&self) -> bool {
        let named = self.config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
        });
        named && self.config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
    }

    /// A pool of at most `size` connections.
    pub(super) fn pool(&self, size: usize) -> Result<Pool, StoreError> {
        self.pool_in_turn(size, &Arc::default(), false)
    }

    /// The same, with hosts asked in an order that other pools share. `leads`: for the pulse.
    pub(super) fn pool_in_turn(
        &self,
        size: usize,
        turns: &Arc<Turns>,
        leads: bool,
    ) -> Result<Pool, StoreError> {
        let mut config = self.config.clone();
        config
            .application_name("sidekey")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(Duration::from_secs(20))
            .keepalives_idle(Duration::from_secs(30))
            // A standby takes no changes, and a primary that is told in a list after it does.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        config.ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        let manager = self.tls.as_ref().map_or_else(
            || {
                let in_turn = InTurn { tls: NoTls, turns: Arc::clone(turns), leads };
                Manager::from_connect(config.clone(), in_turn, recycling.clone())
            },
            |tls| {
                let tls = MakeRustlsConnect::new((**tls).clone());
                let in_turn = InTurn { tls, turns: Arc::clone(turns), leads };
                Manager::from_connect(config.clone(), in_turn, recycling.clone())
            },
        );
        let volatile = self.volatile;
        let set = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                let demanded = async {
                    client.batch_execute(SESSION).await.map_err(|error| sentence(&error))?;
                    demand(client, volatile).await
                };
                // The pool's own time for making a connection does not count for this.
                let answer = tokio::time::timeout(CONNECT, demanded).await;
                answer
                    .unwrap_or_else(|_| Err("the database does not answer".to_owned()))
                    .map_err(HookError::message)
            })
        });
        Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT))
            .create_timeout(Some(CONNECT * (1 + hosts::count(&config))))
            .recycle_timeout(Some(CONNECT))
            .post_create(set)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

/// Refuses a server that acknowledges what it may lose.
///
/// With `synchronous_commit = on`, COMMIT returns when the change is on the disk of the primary and, where
/// `synchronous_standby_names` says so, of the standbys too (`PostgreSQL`'s manual, 20.5.1). A parameter that the server does not know,
/// because it is another product that always writes through, is none to demand.
async fn demand(client: &Client, volatile: bool) -> Result<(), String> {
    let rows = client
        .query(
            "SELECT name, setting FROM pg_catalog.pg_settings \
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
            &[],
        )
        .await
        .map_err(|error| sentence(&error))?;
    let off =
        rows.iter().map(|row| (row.get::<_, &str>(0), row.get::<_, &str>(1))).find(|(name, setting)| {
            *setting == "off" || *name == "synchronous_commit" && !matches!(*setting, "on" | "remote_apply")
        });
    match off {
        Some((name, setting)) if !volatile || name == "synchronous_commit" => Err(format!(
            "the database has `{name} = {setting}` and would lose what it has acknowledged: set it to `on`"
        )),
        _ => Ok(()),
    }
}

/// Whether a standby has everything that is acknowledged; `None` where the server does not know the parameter.
pub(super) async fn has_synchronous_standby(client: &Client) -> Option<bool> {
    let asked = "SELECT setting <> '' FROM pg_catalog.pg_settings WHERE name = 'synchronous_standby_names'";
    client.query_opt(asked, &[]).await.ok().flatten().map(|row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_and_loopback_are_this_machine() {
        let is_local = |url: &str| {
            let config = url.parse().unwrap();
            Options { config, tls: None, pool_size: 1, volatile: false }.is_local()
        };
        for url in
            ["postgres://a@localhost/b", "postgres://a@127.0.0.1,[::1]/b", "host=/run/postgresql dbname=b"]
        {
            assert!(is_local(url), "{url}");
        }
        for url in [
            "postgres://a@db.example/b",
            "postgres://a@localhost,10.0.0.1/b",
            "host=localhost hostaddr=10.0.0.1",
        ] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn what_is_shown_of_the_options_has_no_password() {
        let config = "postgres://a:hunter2@localhost/b".parse().unwrap();
        let options = Options { config, tls: None, pool_size: 1, volatile: false };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
