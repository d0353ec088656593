//! Who may open a connection: no client takes so many that none are left for others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use crate::limit::Client;

/// The open connections of each client that is counted. Entries go with their last connection, so there are never more
/// of them than connections.
#[derive(Debug)]
pub(super) struct Admission {
    per_client: usize,
    exempt: Vec<IpNet>,
    open: Mutex<HashMap<Client, usize>>,
}

/// The right to one open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    admission: Arc<Admission>,
    /// `None`: not counted.
    client: Option<Client>,
}

impl Admission {
    pub(super) fn new(per_client: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { per_client, exempt, open: Mutex::default() })
    }

    /// A seat, or `None` when the client has all that it may have.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        if self.exempt.iter().any(|network| network.contains(&address)) {
            return Some(Seat { admission: Arc::clone(self), client: None });
        }
        let client = Client::of(address);
        // Numbers are whole at every moment, so a lock that a panic has poisoned guards nothing broken.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= self.per_client {
            if *count == 0 {
                open.remove(&client);
            }
            return None;
        }
        *count += 1;
        Some(Seat { admission: Arc::clone(self), client: Some(client) })
    }
}

impl Seat {
    /// Whether the peer stands for many clients.
    pub(super) fn is_exempt(&self) -> bool {
        self.client.is_none()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Arc<Admission> {
        Admission::new(2, vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn admit(admission: &Arc<Admission>, address: &str) -> Option<Seat> {
        admission.admit(address.parse().unwrap())
    }

    #[test]
    fn a_client_has_its_seats_and_no_more_until_one_is_free() {
        let admission = admission();
        let first = admit(&admission, "203.0.113.7").unwrap();
        let _second = admit(&admission, "::ffff:203.0.113.7").unwrap();
        assert!(admit(&admission, "203.0.113.7").is_none());
        let other = admit(&admission, "203.0.113.8");
        assert!(other.is_some());
        drop(first);
        assert!(admit(&admission, "203.0.113.7").is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let admission = admission();
        let seats = [admit(&admission, "2001:db8::1"), admit(&admission, "2001:db8::2:0:0:1")];
        assert!(seats.iter().all(Option::is_some));
        assert!(admit(&admission, "2001:db8::3").is_none());
        assert!(admit(&admission, "2001:db8:0:1::3").is_some());
    }

    #[test]
    fn exempt_peers_are_not_counted_and_nothing_stays_behind() {
        let admission = admission();
        let proxied: Vec<_> = (0..9).map(|_| admit(&admission, "10.1.2.3").unwrap()).collect();
        assert!(proxied.iter().all(Seat::is_exempt));
        let counted = admit(&admission, "203.0.113.7").unwrap();
        assert_eq!(admission.open.lock().unwrap().len(), 1);
        drop((counted, proxied));
        assert!(admission.open.lock().unwrap().is_empty());
    }
}
