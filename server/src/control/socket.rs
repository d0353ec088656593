//! The Unix socket `<data>/control.sock`: one JSON line in, one JSON line out.
//!
//! Who may connect is decided by the file system (the folder is 0700, the socket 0600) and once more by the peer's user
//! id: the server's own user, or root.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::{Authority, Command, Reply, execute};

const NAME: &str = "control.sock";
/// Bytes of a command.
const MAX_COMMAND: u64 = 16 * 1024;
/// Bytes of a reply: a list of some 100,000 apps.
const MAX_REPLY: u64 = 16 * 1024 * 1024;
/// For one command from connecting to the reply's last byte.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Commands at once.
const MAX_CONNECTIONS: usize = 8;

/// One line of the server's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Ok(Reply),
    Error(String),
}

/// The server's end. The socket is removed when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    address: Address,
}

impl ControlSocket {
    /// Opens the socket in the data folder. To be called with the store's lock held: a socket that is there already is
    /// then a dead server's, and is replaced.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn bind(data: &Path) -> io::Result<Self> {
        let address = Address::of(data)?;
        match std::fs::remove_file(&address.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&address.path)?;
        std::fs::set_permissions(&address.path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, address })
    }

    /// Answers commands for ever. Dropping the future ends it; commands under way are finished.
    pub async fn serve(self, authority: Authority) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let authority = authority.clone();
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, authority).await {
                            tracing::warn!(%error, "a command on the control socket failed");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting on the control socket failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // If it stays, the next start removes it.
        let _ = std::fs::remove_file(&self.address.path);
    }
}

async fn answer(stream: UnixStream, authority: Authority) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            ErrorKind::PermissionDenied,
            format!("user {peer} may not command this server"),
        ));
    }
    let (reader, mut writer) = stream.into_split();
    let line = within(read_line(reader, MAX_COMMAND)).await?;
    // The time limit covers the peer's part only: a command that has begun is carried out.
    let answer = match serde_json::from_slice::<Command>(&line) {
        Ok(command) => match execute(&authority, command).await {
            Ok(reply) => Line::Ok(reply),
            Err(error) => Line::Error(error.to_string()),
        },
        Err(_) => Line::Error(
            "the server does not know this command; use the `sidekey` of its own version".to_owned(),
        ),
    };
    let mut bytes = zeroize::Zeroizing::new(serde_json::to_vec(&answer)?);
    bytes.push(b'\n');
    within(writer.write_all(&bytes)).await
}

/// Hands a command to the server that has the store in `data` open. `None`: there is no such server.
///
/// # Errors
/// A sentence for the operator: why the server refused, or why it could not be asked.
pub async fn ask(data: &Path, command: &Command) -> Result<Option<Reply>, String> {
    let unreachable = |error: io::Error| format!("the running server cannot be asked: {error}");
    let address = Address::of(data).map_err(unreachable)?;
    let stream = match UnixStream::connect(&address.path).await {
        Ok(stream) => stream,
        // Without a socket, or with one that nobody listens to any more, no server runs.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let data = data.display();
            return Err(format!(
                "no permission to use the data folder `{data}`: run this command as the server's user"
            ));
        }
        Err(error) => return Err(unreachable(error)),
    };
    let exchange = async {
        let (reader, mut writer) = stream.into_split();
        let mut bytes = serde_json::to_vec(command)?;
        bytes.push(b'\n');
        writer.write_all(&bytes).await?;
        Ok(serde_json::from_slice(&read_line(reader, MAX_REPLY).await?)?)
    };
    match within(exchange).await.map_err(unreachable)? {
        Line::Ok(reply) => Ok(Some(reply)),
        Line::Error(text) => Err(text),
    }
}

async fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(TIME_LIMIT, future).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// A line that ends within `limit` bytes.
async fn read_line(
    reader: impl tokio::io::AsyncRead + Unpin,
    limit: u64,
) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut line = zeroize::Zeroizing::new(Vec::new());
    BufReader::new(reader).take(limit).read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') { Ok(line) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// A path to the socket that fits into `sockaddr_un`, which has room for 107 bytes (unix(7)).
#[derive(Debug)]
struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(NAME);
        if path.as_os_str().len() <= 107 || !cfg!(target_os = "linux") {
            return Ok(Self { path, _folder: None });
        }
        // Linux names a long folder by an open descriptor of it.
        let folder = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
        Ok(Self { path, _folder: Some(folder) })
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::AppId;
    use sidekey_core::policy::Enforcement;
    use sidekey_core::time::UnixTime;
    use tempfile::TempDir;

    use super::*;
    use crate::apps::{Apps, NewApp};
    use crate::clock::Clock;
    use crate::store::SledEngine;
    use crate::store::sled::Options;

    struct Fixture {
        folder: TempDir,
        apps: Apps,
        server: tokio::task::JoinHandle<()>,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let apps = Apps::new(Arc::new(engine));
        let clock = Clock::standing(UnixTime::from_secs(1_790_000_000));
        let authority = Authority { apps: apps.clone(), clock };
        let server = tokio::spawn(ControlSocket::bind(folder.path()).unwrap().serve(authority));
        Fixture { folder, apps, server }
    }

    async fn send(fixture: &Fixture, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(fixture.folder.path().join(NAME)).await.unwrap();
        // A server that has heard enough closes before everything is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn commands_reach_the_running_server() {
        let fixture = fixture();
        let data = fixture.folder.path();
        let new = NewApp { id: None, name: "Shop".to_owned(), enforcement: Enforcement::Encouraged };
        let reply = ask(data, &Command::CreateApp(new)).await.unwrap().unwrap();
        let Reply::AppCreated { app_id, key, .. } = reply else { panic!("{reply:?}") };
        assert!(fixture.apps.authenticate(key.api_key.expose()).await.unwrap().is_some());

        let Some(Reply::Apps(apps)) = ask(data, &Command::ListApps).await.unwrap() else { panic!("no list") };
        assert_eq!(apps.len(), 1);

        let revoke = Command::RevokeKey { app: app_id, key_id: key.key_id };
        ask(data, &revoke).await.unwrap().unwrap();
        assert!(fixture.apps.authenticate(key.api_key.expose()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_refusal_is_a_sentence() {
        let fixture = fixture();
        let nobody = Command::CreateKey { app: AppId::parse("nobody").unwrap() };
        let refused = ask(fixture.folder.path(), &nobody).await.unwrap_err();
        assert!(refused.contains("no app `nobody`"), "{refused}");
    }

    #[tokio::test]
    async fn without_a_server_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ask(folder.path(), &Command::ListApps).await.unwrap().is_none());
        let fixture = fixture();
        fixture.server.abort();
        assert!(fixture.server.await.unwrap_err().is_cancelled());
        assert!(!fixture.folder.path().join(NAME).exists());
        assert!(ask(fixture.folder.path(), &Command::ListApps).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_server_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        assert!(ask(folder.path(), &Command::ListApps).await.unwrap().is_none());
        let socket = ControlSocket::bind(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(socket);
    }

    #[tokio::test]
    async fn what_is_no_command_is_refused() {
        let fixture = fixture();
        for nonsense in [&b"{}\n"[..], b"nonsense\n", b"{\"create_key\":{\"app\":\"BAD ID\"}}\n", b"\xff\n"] {
            assert!(send(&fixture, nonsense).await.starts_with(r#"{"error":"#));
        }
        assert_eq!(send(&fixture, &vec![b'x'; 100_000]).await, "");
        assert!(ask(fixture.folder.path(), &Command::ListApps).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_folder_with_a_long_name_has_a_socket_too() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(200));
        std::fs::create_dir(&long).unwrap();
        let engine = SledEngine::open(&long, &Options::new([7; 16])).unwrap();
        let authority = Authority { apps: Apps::new(Arc::new(engine)), clock: Clock::system() };
        tokio::spawn(ControlSocket::bind(&long).unwrap().serve(authority));
        assert!(ask(&long, &Command::ListApps).await.unwrap().is_some());
        assert!(long.join(NAME).exists());
    }
}
