//! The response cache: asked after the guards, written after the reply.

use super::admit::Admitted;
use super::attempt::Served;
use super::attend::attend;
use super::settle::{Close, Money, Outcome};
use super::view::visible;
use super::{End, Exchange};
use crate::cache::flight::{Flight, Joined};
use crate::cache::{Entry, Key, Scope};
use crate::ingress::headers::CacheWish;
use crate::ingress::respond::{self, Head, name};
use crate::telemetry::record::CacheState;
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::payload::Payload;
use weir_llm::request::Request;
use weir_llm::translate;
use weir_llm::usage::Usage;

/// How long a reply is kept when the request asks for the cache and the alias has no opinion.
const TTL: Duration = Duration::from_secs(300);

/// How many leaders a request waits for that end without a reply; then it goes by itself, for what it asks may be such
/// that no reply to it can be kept.
const LEADERS: usize = 2;

/// A reply that is to be kept when it is complete. Others may wait for it: what drops this lets one of them lead.
pub struct Recording {
    key: Key,
    ttl: Duration,
    flight: Option<Flight>,
}

/// What the cache said.
pub enum Found {
    /// It has the reply.
    Hit(Box<Entry>),
    /// It has not; whether to keep the one that comes.
    Miss(Option<Recording>),
}

impl Exchange<'_> {
    /// Looks the request up, if alias or request asks for it; waits if another is fetching the same reply.
    ///
    /// # Errors
    /// The caller has gone.
    pub async fn look_up(&mut self, admitted: &Admitted, request: &Request) -> Result<Found, End> {
        let wish = admitted.caller.wishes.cache;
        let asked = match wish {
            CacheWish::Off => None,
            CacheWish::On | CacheWish::Refresh => Some(admitted.route.cache.unwrap_or(TTL)),
            CacheWish::Alias => admitted.route.cache,
        };
        // Content that may not be kept anywhere is not kept here either.
        // A conversation that the provider keeps goes on with each request: no two are the same.
        // What was hidden from a model is in its reply only as this exchange's tokens.
        let kept = !admitted.terms.retention.is_zero()
            && admitted.view.vault().is_empty()
            && request.api().is_conversation()
            && request.state().is_none();
        let Some(ttl) = asked.filter(|_| kept) else {
            self.record.cache = CacheState::Bypass;
            return Ok(Found::Miss(None));
        };
        let key = self.gateway.replies.key(
            &Scope {
                tenant: &admitted.caller.principal.organisation_id,
                api: request.api().as_str(),
                alias: &admitted.route.name,
                terms: &admitted.terms.to_string(),
                digest: &self.snapshot.digest,
                asked: &self.asked(admitted),
            },
            request.json().root(),
        );
        self.record.cache = CacheState::Miss;
        let alone = Found::Miss(Some(Recording { key, ttl, flight: None }));
        if wish == CacheWish::Refresh {
            return Ok(alone);
        }
        let gateway = self.gateway;
        let replies = &gateway.replies;
        let until = self.started + admitted.route.deadline;
        for _ in 0..LEADERS {
            if let Some(entry) = replies.get(&key) {
                return Ok(self.hit(entry));
            }
            let following = match replies.flights.join(key) {
                Joined::Lead(flight) => {
                    // One may have landed between the two looks.
                    if let Some(entry) = replies.get(&key) {
                        return Ok(self.hit(entry));
                    }
                    return Ok(Found::Miss(Some(Recording { key, ttl, flight: Some(flight) })));
                }
                Joined::Follow(following) => following,
            };
            let waiting = pin!(tokio::time::timeout_at(until.into(), following.reply()));
            let metrics = gateway.telemetry.metrics();
            metrics.cache_waiting.inc();
            let waited = attend(self.session, &mut self.watched, waiting).await;
            metrics.cache_waiting.dec();
            match waited? {
                Ok(Some(entry)) => {
                    metrics.coalesced.inc();
                    return Ok(self.hit(entry));
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Ok(alone)
    }

    fn hit(&mut self, entry: Entry) -> Found {
        self.record.cache = CacheState::Hit;
        Found::Hit(Box::new(entry))
    }

    /// What of the head changes the reply. The class is among it: what a policy did for one class is not served to another.
    fn asked(&self, admitted: &Admitted) -> String {
        let headers = &self.session.head().headers;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let strict = admitted.caller.wishes.strict.unwrap_or(admitted.route.strict);
        let query = self.session.head().uri.query().unwrap_or_default();
        let head = admitted.view.head();
        let class = head.class.name();
        let (version, beta) = (header("anthropic-version"), header("anthropic-beta"));
        let mut asked = format!("{strict}\n{class}\n{version}\n{beta}\n{query}");
        if admitted.route.asked.replies() {
            self.append_seen(admitted, &mut asked);
        }
        asked
    }

    /// All by which a policy may judge the reply: one that was let pass for one caller is not served past the policies of
    /// another.
    fn append_seen(&self, admitted: &Admitted, asked: &mut String) {
        let head = admitted.view.head();
        let (project, key, tags) = (&head.project, &head.key_id, &head.tags);
        let user = head.user_hash.as_deref();
        // Names and values are quoted, so that none of them reads like two.
        asked.push_str(&format!("\n{project:?}{key:?}{user:?}{}{}{tags:?}", head.stream, head.body_bytes));
        if admitted.route.asked.headers() {
            asked.push_str(&format!("{:?}", visible(&self.session.head().headers)));
        }
    }

    /// Keeps a complete reply.
    pub fn store(&self, recording: Recording, body: &Bytes, served: &Served, usage: Usage, money: Money) {
        let entry = Entry {
            // The reply may be a slice of a larger read buffer, which must not be kept alive with it.
            body: Payload::new(Bytes::copy_from_slice(body)),
            target: Arc::clone(&served.id),
            usage,
            paid: money.charged,
            dropped: served
                .headers
                .iter()
                .find(|(of, _)| *of == name::DROPPED)
                .map(|(_, value)| value.clone()),
            ttl: recording.ttl,
        };
        if let Some(flight) = recording.flight {
            self.gateway.replies.put(recording.key, entry.clone());
            return flight.land(entry);
        }
        self.gateway.replies.put(recording.key, entry);
    }

    /// Serves a reply again: it costs nothing, and is posted with what it saved.
    ///
    /// # Errors
    /// The ledger did not take the posting, or the caller has gone.
    pub async fn replay(&mut self, admitted: Admitted, request: &Request, entry: &Entry) -> Result<(), End> {
        let model = admitted.route.name.clone();
        let close = Close { saved: entry.paid, ..Close::nothing(Outcome::CacheHit) };
        self.settle(admitted, close).await?;
        self.record.status = 200;
        self.record.ttft = Some(self.started.elapsed());
        if request.stream() {
            let frames = translate::replay(request.api(), entry.body.expose(), &self.ask(request, &model));
            let mut head = respond::stream_head(&self.id);
            self.mark_hit(&mut head, entry);
            return Ok(respond::frames(self.session, head, frames).await?);
        }
        let mut head = respond::json_head(200, entry.body.len(), &self.id)?;
        self.mark_hit(&mut head, entry);
        Ok(respond::content(self.session, head, entry.body.clone()).await?)
    }

    fn mark_hit(&self, head: &mut Head, entry: &Entry) {
        self.mark(head, None);
        respond::put_text(head, name::TARGET, &entry.target);
        respond::put_text(head, name::COST, "0.000000000");
        if let Some(dropped) = &entry.dropped {
            respond::put(head, &name::DROPPED, dropped);
        }
    }
}
