//! How many requests a provider or a target takes at one time. The counts outlive reloads.

use crate::refusal::Refusal;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use weir_ledger::{Seat, Seats};

/// The places at one provider or target.
#[derive(Debug, Clone)]
pub struct Room {
    seats: Seats,
    limit: u32,
}

/// Every count of the process, by whose it is.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<HashMap<String, Seats>>);

/// A place at a provider and one at its target, where those are counted.
pub type Places = [Option<Seat>; 2];

impl Rooms {
    /// The room of a provider or target, if there is a bound.
    pub fn room(&self, name: &str, limit: Option<u32>) -> Option<Room> {
        let limit = limit?;
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Room { seats: rooms.entry(name.to_owned()).or_default().clone(), limit })
    }
}

/// Takes a place in each room.
///
/// # Errors
/// 503: one of them is full.
pub fn enter([provider, target]: [Option<&Room>; 2], id: &str) -> Result<Places, Refusal> {
    let take = |room: Option<&Room>| match room {
        None => Ok(None),
        Some(room) => room.seats.take(room.limit).map(Some).ok_or_else(|| full(id)),
    };
    Ok([take(provider)?, take(target)?])
}

fn full(id: &str) -> Refusal {
    let message = format!("{id} has as many requests under way as it may, and no other target is left.");
    Refusal::busy("target_full", message, 1000).shed("target")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_target_gives_back_its_providers_place() {
        let rooms = Rooms::default();
        let provider = rooms.room("p", Some(2)).unwrap();
        let target = rooms.room("p/a", Some(1)).unwrap();
        let one = enter([Some(&provider), Some(&target)], "p/a").unwrap();
        let refusal = enter([Some(&provider), Some(&target)], "p/a").unwrap_err();
        assert_eq!((refusal.status, refusal.retry_after_ms, refusal.shed), (503, Some(1000), Some("target")));
        let two = enter([rooms.room("p", Some(2)).as_ref(), None], "p/b").unwrap();
        assert!(enter([Some(&provider), None], "p/b").is_err(), "rooms of one name count together");
        drop((one, two));
        assert!(enter([Some(&provider), Some(&target)], "p/a").is_ok());
        assert!(rooms.room("q", None).is_none());
    }
}
