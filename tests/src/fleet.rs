//! Several servers over one database.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::{Options, Server, command};

/// Servers that share a database and a master key, each with a data folder of its own.
pub struct Fleet {
    /// All of them.
    pub servers: Vec<Server>,
    _folder: TempDir,
}

impl Fleet {
    /// So many servers over the database of this address, with these further arguments.
    pub async fn start(database: &str, size: usize, further: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let key = folder.path().join("master.key");
        command::run(["keys", "generate", "--out", path(&key)]).await.ok();
        let options = |number: usize| Options {
            arguments: [
                &["--store-engine", "postgres", "--store-url", database, "--master-key-file", path(&key)],
                // One address for browsers and in tokens, as behind a load balancer.
                &["--public-url", "http://127.0.0.1:8080"][..],
                further,
            ]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect(),
            data: Some(data(folder.path(), number)),
            ..Options::default()
        };
        // At once, so that each of them finds the others at their start.
        let starts = (0..size).map(|number| {
            let options = options(number);
            tokio::task::spawn_blocking(move || Server::with(options))
        });
        let servers = join_all(starts)
            .await
            .into_iter()
            .map(|server| server.expect("the server has started"))
            .collect();
        Self { servers, _folder: folder }
    }

    /// Kills one of them (SIGKILL), and starts it again.
    pub async fn crash(&mut self, number: usize) {
        let victim = self.servers.remove(number);
        let again = tokio::task::spawn_blocking(move || victim.crash());
        self.servers.insert(number, again.await.expect("the server has started again"));
    }

    /// Waits until all of them say that they take changes.
    pub async fn is_ready(&self) {
        self.all_say(200).await;
    }

    /// Waits until all of them say that they take none.
    pub async fn is_not_ready(&self) {
        self.all_say(503).await;
    }

    async fn all_say(&self, status: u16) {
        for server in &self.servers {
            server.readyz_says(status).await;
        }
    }

    /// Sets all clocks by the one that is furthest, and gives the step.
    pub async fn step(&self) -> u64 {
        let mut furthest = 0;
        for server in &self.servers {
            furthest = furthest.max(server.now().await);
        }
        for server in &self.servers {
            let behind = furthest.saturating_sub(server.now().await);
            if behind > 0 {
                server.advance(behind).await;
            }
        }
        furthest / crate::clock::STEP
    }
}

fn data(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("data-{number}"))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the temporary folder's name is UTF-8")
}
