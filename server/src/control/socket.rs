//! The Unix socket `<data>/control.sock`: one JSON line in, and JSON lines out, of which the last is the reply. A line
//! `{"data": n}` is followed by n bytes.
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
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{Authority, Command, Reply, Work};
use crate::maintenance::Part;

const NAME: &str = "control.sock";
/// Bytes of a command: a batch of users.
pub const MAX_COMMAND: u64 = 64 * 1024;
/// Bytes of a reply: a list of some 100,000 apps.
const MAX_REPLY: u64 = 16 * 1024 * 1024;
/// For one line, and for the bytes after it.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Bytes after one line.
const MAX_DATA: usize = 4 * 1024 * 1024;
/// Commands at once.
const MAX_CONNECTIONS: usize = 8;

/// One line of the server's.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Ok(Reply),
    Error(String),
    Progress { done: u64, total: u64 },
    Data(usize),
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
    let line = within(read_line(BufReader::new(reader), MAX_COMMAND)).await?;
    // The time limit covers the peer's part only: a command that has begun is carried out, but for a backup that nobody takes.
    let answer = match serde_json::from_slice::<Command>(&line) {
        Ok(command) => {
            let mut work = Work::begin(authority, command);
            while let Some(part) = work.next().await {
                send(&mut writer, part).await?;
            }
            match work.outcome().await {
                Ok(reply) => Line::Ok(reply),
                Err(error) => Line::Error(error.to_string()),
            }
        }
        Err(_) => Line::Error(
            "the server does not know this command; use the `sidekey` of its own version".to_owned(),
        ),
    };
    let mut bytes = Zeroizing::new(serde_json::to_vec(&answer)?);
    bytes.push(b'\n');
    within(writer.write_all(&bytes)).await
}

async fn send(writer: &mut OwnedWriteHalf, part: Part) -> io::Result<()> {
    let (line, data) = match part {
        Part::Progress { done, total } => (Line::Progress { done, total }, Zeroizing::default()),
        Part::Data(bytes) => (Line::Data(bytes.len()), bytes),
    };
    let mut line = serde_json::to_vec(&line)?;
    line.push(b'\n');
    within(async {
        writer.write_all(&line).await?;
        // From where they are: they may be secrets, of which there should be no copy that nobody wipes.
        writer.write_all(&data).await
    })
    .await
}

/// Hands a command to the server that has the store in `data` open, and what comes out before the reply to `take`. `None`:
/// there is no such server.
///
/// # Errors
/// A sentence for the operator: why the server refused, why it could not be asked, or what `take` fails with.
pub async fn ask(
    data: &Path,
    command: &Command,
    mut take: impl FnMut(Part) -> Result<(), String>,
) -> Result<Option<Reply>, String> {
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
    let (reader, mut writer) = stream.into_split();
    let mut bytes = serde_json::to_vec(command).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    within(writer.write_all(&bytes)).await.map_err(unreachable)?;
    let mut reader = BufReader::new(reader);
    loop {
        let line = within(read_line(&mut reader, MAX_REPLY)).await.map_err(unreachable)?;
        match serde_json::from_slice(&line).map_err(|error| unreachable(error.into()))? {
            Line::Ok(reply) => return Ok(Some(reply)),
            Line::Error(text) => return Err(text),
            Line::Progress { done, total } => take(Part::Progress { done, total })?,
            Line::Data(length) => {
                let mut data = Zeroizing::new(vec![0; length.min(MAX_DATA)]);
                within(reader.read_exact(&mut data)).await.map_err(unreachable)?;
                take(Part::Data(data))?;
            }
        }
    }
}

async fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(TIME_LIMIT, future).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// A line that ends within `limit` bytes.
async fn read_line(
    reader: impl tokio::io::AsyncBufRead + Unpin,
    limit: u64,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::new());
    reader.take(limit).read_until(b'\n', &mut line).await?;
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
    use crate::apps::{Apps, NewApp, ReturnUrls};
    use crate::clock::Clock;
    use crate::store::sled::Options;
    use crate::store::{Engine, SledEngine};

    struct Fixture {
        folder: TempDir,
        apps: Apps,
        server: tokio::task::JoinHandle<()>,
    }

    fn authority(data: &Path) -> Authority {
        let engine: Arc<dyn Engine> = Arc::new(SledEngine::open(data, &Options::new([7; 16])).unwrap());
        let clock = Clock::standing(UnixTime::from_secs(1_790_000_000));
        let apps = Apps::new(Arc::clone(&engine));
        let destinations = Vec::new();
        let (keys, hasher, signer, probes, door) = (None, None, None, None, None);
        Authority { engine, keys, hasher, signer, destinations, probes, door, apps, clock }
    }

    async fn ask(data: &Path, command: &Command) -> Result<Option<Reply>, String> {
        super::ask(data, command, |_| Ok(())).await
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let authority = authority(folder.path());
        let apps = authority.apps.clone();
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
        let new = NewApp {
            id: None,
            name: "Shop".to_owned(),
            enforcement: Enforcement::Encouraged,
            return_urls: ReturnUrls::default(),
        };
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
    async fn a_backup_comes_in_parts_before_the_reply() {
        let fixture = fixture();
        let data = fixture.folder.path();
        let new = NewApp {
            id: None,
            name: "Shop".to_owned(),
            enforcement: Enforcement::Encouraged,
            return_urls: ReturnUrls::default(),
        };
        ask(data, &Command::CreateApp(new)).await.unwrap();
        let mut bytes = Vec::new();
        let reply = super::ask(data, &Command::Backup, |part| {
            if let Part::Data(data) = part {
                bytes.extend_from_slice(&data);
            }
            Ok(())
        });
        let Some(Reply::BackedUp(summary)) = reply.await.unwrap() else { panic!("no backup") };
        // The app, its key and the key's name; both were noted in the audit log.
        assert_eq!((summary.records, summary.audit_entries), (3, 2));
        let mut pieces = 0;
        let read = crate::maintenance::backup_file::Reader::new(&bytes[..]).unwrap().read(|_| {
            pieces += 1;
            Ok::<_, crate::maintenance::backup_file::ReadError>(())
        });
        read.unwrap();
        assert_eq!(pieces, 6, "those five, and where the log begins");

        let refused = super::ask(data, &Command::Backup, |_| Err("no more disk".to_owned())).await;
        assert_eq!(refused.unwrap_err(), "no more disk");
        // The server notices that nobody takes the backup when it writes to the socket.
        let report = loop {
            match ask(data, &Command::Verify).await {
                Ok(Some(Reply::Verified(report))) => break report,
                Err(refused) => assert!(refused.contains("under way"), "{refused}"),
                other => panic!("{other:?}"),
            }
        };
        assert!(report.is_good() && report.tally.apps == 1, "{report:?}");
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
        tokio::spawn(ControlSocket::bind(&long).unwrap().serve(authority(&long)));
        assert!(ask(&long, &Command::ListApps).await.unwrap().is_some());
        assert!(long.join(NAME).exists());
    }
}
