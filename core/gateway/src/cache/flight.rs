//! One request at a time for one reply: whoever asks for what is being fetched already waits for it.
//!
//! The first is the leader. It tells the others when its reply is whole; if it ends without one, for whatever reason, they
//! find out, and one of them leads. A follower that leaves touches nobody.

use super::{Entry, Key};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The requests under way that others may wait for.
#[derive(Clone, Default)]
pub struct Flights(Arc<Mutex<HashMap<Key, watch::Receiver<Option<Entry>>>>>);

/// What a request is to do.
pub enum Joined {
    /// Fetch the reply.
    Lead(Flight),
    /// Wait for it.
    Follow(Following),
}

/// A leader's part; dropping it without [`Flight::land`] tells the others that nothing comes of it.
pub struct Flight {
    flights: Flights,
    key: Key,
    reply: watch::Sender<Option<Entry>>,
}

/// A follower's part.
pub struct Following(watch::Receiver<Option<Entry>>);

impl Flights {
    /// Leads if nobody does.
    pub fn join(&self, key: Key) -> Joined {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = flights.get(&key) {
            return Joined::Follow(Following(leader.clone()));
        }
        let (reply, waiting) = watch::channel(None);
        flights.insert(key, waiting);
        Joined::Lead(Flight { flights: self.clone(), key, reply })
    }

    /// How many leaders there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Flight {
    /// Hands the reply to everyone who waits.
    pub fn land(self, entry: Entry) {
        self.reply.send_replace(Some(entry));
    }
}

impl Following {
    /// The leader's reply; `None`: it ended without one.
    pub async fn reply(mut self) -> Option<Entry> {
        let landed = self.0.wait_for(Option::is_some).await;
        landed.ok().and_then(|entry| entry.clone())
    }
}

// The leader's future may be cancelled at any await; those who wait for it must learn of that.
impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;
    use weir_llm::payload::Payload;
    use weir_llm::price::Nanos;
    use weir_llm::usage::Usage;

    fn entry() -> Entry {
        Entry {
            body: Payload::new(Bytes::from_static(b"{}")),
            target: "p/m".into(),
            usage: Usage::default(),
            paid: Nanos(7),
            dropped: None,
            ttl: Duration::from_secs(1),
        }
    }

    fn lead(flights: &Flights, key: u8) -> Flight {
        match flights.join([key; 32]) {
            Joined::Lead(flight) => flight,
            Joined::Follow(_) => panic!("somebody leads"),
        }
    }

    fn follow(flights: &Flights, key: u8) -> Following {
        match flights.join([key; 32]) {
            Joined::Follow(following) => following,
            Joined::Lead(_) => panic!("nobody leads"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_all_get_its_reply() {
        let flights = Flights::default();
        let leader = lead(&flights, 1);
        let (early, gone) = (follow(&flights, 1), follow(&flights, 1));
        let other = lead(&flights, 2);
        drop(gone);
        leader.land(entry());
        assert_eq!(early.reply().await.map(|entry| entry.paid), Some(Nanos(7)));
        assert_eq!(flights.len(), 1, "what has landed is not waited for");
        drop(other);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_leader_that_fails_is_followed_by_one_of_those_who_waited() {
        let flights = Flights::default();
        let leader = lead(&flights, 1);
        let (one, two) = (follow(&flights, 1), follow(&flights, 1));
        drop(leader);
        assert!(one.reply().await.is_none() && two.reply().await.is_none());
        let next = lead(&flights, 1);
        let waits = follow(&flights, 1);
        next.land(entry());
        assert!(waits.reply().await.is_some());
    }
}
