//! Asks the reload thread.

use super::build::Refused;
use crate::ship::order::{No, Order};
use serde_json::Value;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long an order waits for room.
const ROOM: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Swapped {
    /// The generation that serves now.
    pub generation: u64,
    /// Changed keys that only a restart puts into force.
    pub needs_restart: Vec<&'static str>,
    /// What is allowed but doubtful.
    pub warnings: Vec<String>,
}

/// What the reload thread is asked to do.
pub(super) enum Work {
    Reload(oneshot::Sender<Result<Swapped, Refused>>),
    Rollback(oneshot::Sender<Result<Swapped, Refused>>),
    Ship { policy: String, order: Order, answer: oneshot::Sender<Result<Value, No>> },
    Show { what: Shown, answer: oneshot::Sender<Result<Value, No>> },
    Stop(oneshot::Sender<()>),
}

/// What is to be shown of the policies.
pub enum Shown {
    /// A line for each.
    All,
    /// Everything that is known of one.
    Status(String),
    /// How versions of one ended.
    History(String),
}

/// Asks the reload thread.
#[derive(Clone)]
pub struct Reloader(pub(super) Sender<Work>);

impl Reloader {
    /// Reads the config and its files anew and swaps them in.
    ///
    /// # Errors
    /// Everything that is wrong with them; the running snapshot goes on.
    pub async fn reload(&self) -> Result<Swapped, Refused> {
        self.ask(Work::Reload).await.unwrap_or_else(|| Err(Refused::because(STOPPED)))
    }

    /// Brings config and policies back as they were before the last change, under a new generation.
    ///
    /// # Errors
    /// There is none, or it cannot be built any more.
    pub async fn rollback(&self) -> Result<Swapped, Refused> {
        self.ask(Work::Rollback).await.unwrap_or_else(|| Err(Refused::because(STOPPED)))
    }

    /// Follows an order about a policy. One for which there is no room waits for it, but not for ever.
    ///
    /// # Errors
    /// The step that refused; what runs goes on.
    pub async fn order(&self, policy: &str, mut make: impl FnMut() -> Order) -> Result<Value, No> {
        let until = Instant::now() + ROOM;
        loop {
            let (policy, order) = (policy.to_owned(), make());
            let asked = self.ask(|answer| Work::Ship { policy, order, answer }).await;
            match asked.unwrap_or_else(|| Err(No::Refused(STOPPED.to_owned()))) {
                Err(No::Busy(_)) if Instant::now() < until => tokio::time::sleep(LOOK).await,
                Err(No::Busy(why)) => return Err(No::Busy(why)),
                done => return done,
            }
        }
    }

    /// What is known of the policies.
    ///
    /// # Errors
    /// There is no such policy.
    pub async fn show(&self, what: Shown) -> Result<Value, No> {
        let asked = self.ask(|answer| Work::Show { what, answer }).await;
        asked.unwrap_or_else(|| Err(No::Refused(STOPPED.to_owned())))
    }

    /// Ends the thread and those of shadows, and waits for them.
    pub async fn stop(&self) {
        // A thread that has ended needs no order.
        let _ = self.ask(Work::Stop).await;
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<T>) -> Work) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.0.send(work(answer)).ok()?;
        answered.await.ok()
    }
}

const STOPPED: &str = "the gateway is shutting down";
