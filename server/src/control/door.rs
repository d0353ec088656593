//! How a running server lets the store in its data folder go, so that it can move to a database.

use std::io;
use std::path::PathBuf;

use tokio::sync::Notify;

use crate::store::moving::{self, Mark};

/// What marks the folder and ends the server.
#[derive(Debug)]
pub struct Door {
    data: PathBuf,
    opened: Notify,
}

impl Door {
    /// Of the data folder whose lock this process holds.
    pub fn of(data: PathBuf) -> Self {
        Self { data, opened: Notify::new() }
    }

    /// Marks the folder, so that no server opens it again, and then has this one end. What it decides until then is on disk when it has
    /// given up the folder's lock, which whoever copies waits for.
    ///
    /// # Errors
    /// The folder cannot be marked; the server goes on.
    pub fn let_go(&self, mark: &Mark) -> io::Result<()> {
        moving::write(&self.data, mark)?;
        self.opened.notify_one();
        Ok(())
    }

    /// Waits until the store was let go.
    pub async fn opened(&self) {
        self.opened.notified().await;
    }
}
