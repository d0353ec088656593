//! Several hosts in one address, of which one takes changes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::Connect;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Connection, Error, Socket};

use super::connect::CONNECT;

/// Connects to the first host that takes changes, and gives each of them [`CONNECT`] for all that belongs to it. The library's own limit ends
/// with the connection of the socket: a server that hangs, whose system still accepts, would be waited for in front of the one that
/// was promoted.
pub(super) struct InTurn<T> {
    pub(super) tls: T,
    pub(super) turns: Arc<Turns>,
    /// Whether its connections are those of the pulse.
    pub(super) leads: bool,
}

/// Which of the hosts is asked first: the one whose commits the pulse has seen confirmed, and never the one where they were not. A primary that
/// hung and was left takes connections again when it wakes up, and confirms nothing.
#[derive(Debug, Default)]
pub(super) struct Turns {
    first: AtomicUsize,
    /// Where the pulse's last connection leads.
    pulse: AtomicUsize,
}

impl Turns {
    /// A commit of the pulse was confirmed.
    pub(super) fn confirmed(&self) {
        self.first.store(self.pulse.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// It was not: the host comes last.
    pub(super) fn unconfirmed(&self) {
        self.first.store(self.pulse.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The numbers of so many hosts, in the order in which they are asked.
    fn order(&self, number: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.first.load(Ordering::Relaxed);
        (0..number).map(move |index| (index + first % number.max(1)) % number.max(1))
    }
}

impl<T> Connect for InTurn<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + Sync,
    T::TlsConnect: Send + Sync,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let hosts = each(config);
        Box::pin(async move {
            let mut failure = None;
            let in_order = self.turns.order(hosts.len());
            for (number, host) in in_order.filter_map(|number| Some((number, hosts.get(number)?))) {
                let reached = async { first(addresses(host).await, &self.tls).await };
                match tokio::time::timeout(CONNECT, reached).await {
                    Ok(Some(Ok((client, connection)))) => {
                        if self.leads {
                            self.turns.pulse.store(number, Ordering::Relaxed);
                        }
                        let running = async move {
                            if let Err(error) = connection.await {
                                let reason = super::error::sentence(&error);
                                tracing::debug!(reason, "a connection to the database has ended");
                            }
                        };
                        return Ok((client, tokio::spawn(running)));
                    }
                    Ok(Some(Err(error))) => failure = Some(error),
                    Ok(None) | Err(_) => {}
                }
            }
            match failure {
                Some(error) => Err(error),
                // None has answered; the pool's own limit, which comes next, says so.
                None => std::future::pending().await,
            }
        })
    }
}

/// The first of a host's addresses that leads to one that takes changes; else its last error, or nothing where none has answered. Each
/// has its share of [`CONNECT`]: one that does not answer is in front of those that do, as where a name has an address by IPv6 that leads
/// nowhere.
async fn first<T>(
    addresses: Vec<Config>,
    tls: &T,
) -> Option<Result<(Client, Connection<Socket, T::Stream>), Error>>
where
    T: MakeTlsConnect<Socket> + Clone,
{
    let share = CONNECT / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = None;
    for address in addresses {
        match tokio::time::timeout(share, address.connect(tls.clone())).await {
            Ok(Ok(reached)) => return Some(Ok(reached)),
            Ok(Err(error)) => failure = Some(Err(error)),
            Err(_) => {}
        }
    }
    failure
}

/// The same host by each of the addresses that its name has. A name that has none is left to the library, whose error says so.
async fn addresses(host: &Config) -> Vec<Config> {
    let ([Host::Tcp(name)], []) = (host.get_hosts(), host.get_hostaddrs()) else { return vec![host.clone()] };
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    at_each(host, found.into_iter().flatten().map(|address| address.ip()))
}

/// The name stays: it is what the certificate is for.
fn at_each(host: &Config, found: impl IntoIterator<Item = IpAddr>) -> Vec<Config> {
    let mut found: Vec<IpAddr> = found.into_iter().collect();
    // The same address may be told once for each kind of socket.
    found.dedup();
    if found.len() <= 1 {
        return vec![host.clone()];
    }
    found.into_iter().map(|address| host.clone().hostaddr(address).clone()).collect()
}

/// How many hosts there are to ask, at least one.
pub(super) fn count(config: &Config) -> u32 {
    u32::try_from(each(config).len()).unwrap_or(u32::MAX)
}

/// The same for each host alone.
fn each(config: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let number = hosts.len().max(addresses.len());
    if number <= 1 {
        return vec![config.clone()];
    }
    (0..number).map(|index| alone(config, hosts.get(index), addresses.get(index), ports, index)).collect()
}

fn alone(
    config: &Config,
    host: Option<&Host>,
    address: Option<&IpAddr>,
    ports: &[u16],
    index: usize,
) -> Config {
    let mut one = Config::new();
    match host {
        Some(Host::Tcp(name)) => one.host(name),
        Some(Host::Unix(folder)) => one.host_path(folder),
        None => &mut one,
    };
    if let Some(address) = address {
        one.hostaddr(*address);
    }
    // One port is that of all hosts.
    if let Some(port) = ports.get(index).or(ports.first()) {
        one.port(*port);
    }
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|limit| one.connect_timeout(*limit));
    config.get_tcp_user_timeout().map(|limit| one.tcp_user_timeout(*limit));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_keeps_its_port_and_what_is_said_of_all() {
        let config: Config =
            "host=a,b hostaddr=10.0.0.1,10.0.0.2 port=5433,5434 user=sidekey password=secret dbname=store"
                .parse()
                .unwrap();
        let hosts = each(&config);
        let told: Vec<_> = hosts
            .iter()
            .map(|host| (host.get_hosts().to_vec(), host.get_hostaddrs().to_vec(), host.get_ports().to_vec()))
            .collect();
        let host = |name: &str, last: u8, port| {
            (vec![Host::Tcp(name.to_owned())], vec![IpAddr::from([10, 0, 0, last])], vec![port])
        };
        assert_eq!(told, [host("a", 1, 5433), host("b", 2, 5434)]);
        for host in &hosts {
            assert_eq!((host.get_user(), host.get_dbname()), (Some("sidekey"), Some("store")));
            assert_eq!(host.get_password(), Some(&b"secret"[..]));
        }
        let one_port: Config = "host=a,b port=5433 user=sidekey".parse().unwrap();
        assert!(each(&one_port).iter().all(|host| host.get_ports() == [5433]));
        assert_eq!(count(&"host=a user=sidekey".parse().unwrap()), 1);
    }

    #[test]
    fn a_name_with_several_addresses_is_asked_at_each_and_stays_the_name_of_the_certificate() {
        let host: Config = "host=db.example port=5433 user=sidekey".parse().unwrap();
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let at = at_each(&host, [one, one, other]);
        let told: Vec<_> = at.iter().map(|at| (at.get_hosts(), at.get_hostaddrs(), at.get_ports())).collect();
        let name = [Host::Tcp("db.example".to_owned())];
        assert_eq!(told, [(&name[..], &[one][..], &[5433][..]), (&name[..], &[other][..], &[5433][..])]);
        assert_eq!(at_each(&host, []), std::slice::from_ref(&host));
    }

    #[tokio::test]
    async fn an_address_that_accepts_and_says_nothing_is_left_for_the_next_one_of_the_same_host() {
        let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let second = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let at = |port| format!("host=127.0.0.1 port={port} user=sidekey").parse::<Config>().unwrap();
        let addresses = vec![at(hangs.local_addr().unwrap().port()), at(second)];
        let in_time = tokio::time::timeout(CONNECT, first(addresses, &tokio_postgres::NoTls)).await;
        let refused = in_time.unwrap().unwrap().map(drop).unwrap_err();
        assert!(refused.to_string().contains("connecting"), "{refused}");
    }

    #[test]
    fn the_host_whose_commits_are_confirmed_is_asked_first_and_one_where_they_are_not_last() {
        let turns = Turns::default();
        let order = || turns.order(3).collect::<Vec<_>>();
        assert_eq!(order(), [0, 1, 2]);
        turns.unconfirmed();
        assert_eq!(order(), [1, 2, 0]);
        turns.pulse.store(2, Ordering::Relaxed);
        turns.confirmed();
        assert_eq!(order(), [2, 0, 1]);
        turns.unconfirmed();
        assert_eq!(order(), [0, 1, 2]);
        assert_eq!(turns.order(1).collect::<Vec<_>>(), [0]);
    }

    #[tokio::test]
    async fn a_host_that_accepts_and_says_nothing_is_left_for_the_next() {
        let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let second = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let port = hangs.local_addr().unwrap().port();
        let config: Config =
            format!("host=127.0.0.1,127.0.0.1 port={port},{second} user=sidekey").parse().unwrap();
        // The second one is asked: it is its refusal that is told.
        let in_turn = InTurn { tls: tokio_postgres::NoTls, turns: Arc::new(Turns::default()), leads: false };
        let refused = in_turn.connect(&config).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("connecting"), "{refused}");
    }
}
