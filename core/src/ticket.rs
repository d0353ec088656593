//! Tickets: what is given out to lead into a login once, within a minute.
//!
//! A login counts its tickets of one kind. The host makes the text of a number and can tell its own from others (a MAC under a
//! server-side key); this module decides which number still leads anywhere. So nothing of a ticket's text is stored.

use crate::time::UnixTime;

/// How long a ticket is good for, in seconds.
pub const LIFETIME: u64 = 60;

/// The tickets of one kind of one login, of which the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ticket {
    /// The number of the last one that was given out; 0 before the first.
    number: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum State {
    #[default]
    None,
    Given {
        at: UnixTime,
    },
    Used,
}

/// Why a ticket leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRefusal {
    /// Its minute is over, or another one has taken its place.
    Expired,
    /// It was used before.
    Used,
}

impl Ticket {
    /// Gives out the next one, in place of the one before; its number.
    pub fn give(&mut self, now: UnixTime) -> u64 {
        self.number = self.number.saturating_add(1);
        self.state = State::Given { at: now };
        self.number
    }

    /// The number of the last one, if it was not used.
    pub fn given(&self) -> Option<u64> {
        matches!(self.state, State::Given { .. }).then_some(self.number)
    }

    /// Whether the last one was used.
    pub fn is_used(&self) -> bool {
        self.state == State::Used
    }

    /// Uses the one with this number.
    ///
    /// # Errors
    /// See [`TicketRefusal`]; nothing has changed then.
    pub fn redeem(&mut self, number: u64, now: UnixTime) -> Result<(), TicketRefusal> {
        match self.state {
            _ if number != self.number => Err(TicketRefusal::Expired),
            State::None => Err(TicketRefusal::Expired),
            State::Used => Err(TicketRefusal::Used),
            State::Given { at } if now.since(at) >= LIFETIME => Err(TicketRefusal::Expired),
            State::Given { .. } => {
                self.state = State::Used;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    #[test]
    fn a_ticket_counts_once_and_for_a_minute() {
        let mut ticket = Ticket::default();
        assert_eq!(ticket.redeem(0, NOW), Err(TicketRefusal::Expired), "none was given out");
        let number = ticket.give(NOW);
        assert_eq!(ticket.clone().redeem(number, NOW.plus(60)), Err(TicketRefusal::Expired));
        assert_eq!(ticket.redeem(number, NOW.plus(59)), Ok(()));
        assert!(ticket.is_used());
        assert_eq!(ticket.redeem(number, NOW.plus(59)), Err(TicketRefusal::Used));
    }

    #[test]
    fn only_the_last_one_counts() {
        let mut ticket = Ticket::default();
        let (first, second) = (ticket.give(NOW), ticket.give(NOW));
        assert_ne!(first, second);
        assert_eq!(ticket.given(), Some(second));
        assert_eq!(ticket.redeem(first, NOW), Err(TicketRefusal::Expired));
        assert_eq!(ticket.redeem(second, NOW), Ok(()));
        assert_eq!(ticket.given(), None);
    }
}
