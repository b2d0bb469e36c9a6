//! HTTP/2 as an attacker speaks it: much work asked for by few bytes. Each flood ends with the connection closed by the
//! gateway, costs it less memory than a hundred times what was sent, and other callers do not notice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests, which show their figures"
)]

use serde_json::{Value, json};
use std::fs;
use tokio::io::AsyncWriteExt;
use weir_tests::frames::{self, END_HEADERS, END_STREAM, chat_block, frame, kind, literal};
use weir_tests::{Act, Gateway, Setup, Upstream, soon};

/// Of fewer bytes a hundred times as many are less than a connection, a task and the allocator's own pages take: as
/// much is granted as for so many.
const LEAST: usize = 100 << 10;
/// Answers that an attacker has fetched and does not take.
const UNTAKEN: u32 = 50;
/// What an attacker sends at most, if it is not stopped.
const BYTES: usize = 64 << 20;
/// `ENHANCE_YOUR_CALM`.
const CALM: u32 = 11;

struct House {
    gateway: Gateway,
    key: String,
    _upstream: Upstream,
}

/// What the provider says.
const ANSWER: &str = "a long answer ";
const TIMES: usize = 20_000;

fn ask() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] })
}

async fn house() -> House {
    let upstream = Upstream::start(|call| Act::answers(call, &ANSWER.repeat(TIMES))).await;
    let server = "  limits: { header: 16KiB }\n  timeouts: { idle: 2s, header: 1s, write: 1s, body: 2s }";
    let gateway = Setup::pair(upstream.address, upstream.address, "", "").server(server).start().await;
    let key = gateway.key(&[]);
    House { gateway, key, _upstream: upstream }
}

impl House {
    /// What callers cost who mean no harm: requests one after the other, and beside them a connection that takes so many
    /// answers late. The peak of memory stays, so what it is then is no attack's.
    async fn legitimate(&self, ask: &Value, late: u32) {
        for _ in 0..20 {
            assert_eq!(self.gateway.chat(&self.key, ask).await.status(), 200);
        }
        let taking = async {
            for _ in 0..5 {
                soon("answers that are taken late", self.take_late(ask, late)).await.unwrap();
            }
        };
        tokio::select! {
            () = taking => {}
            () = self.others(ask) => {}
        }
    }

    /// Callers who are served whatever goes on, each on a connection of its own.
    async fn others(&self, ask: &Value) {
        loop {
            assert_eq!(self.gateway.chat(&self.key, ask).await.status(), 200, "a caller noticed");
        }
    }

    /// Opens its window when all answers have begun, and takes them.
    async fn take_late(&self, ask: &Value, answers: u32) -> std::io::Result<()> {
        let (mut reader, mut writer) = frames::connect(self.gateway.address).await?;
        writer.write_all(&self.shut(ask, answers)).await?;
        let (mut begun, mut ended) = (0, 0);
        while ended < answers {
            let came = reader.next().await?;
            begun += u32::from(came.kind == kind::HEADERS);
            // Whoever was too late for one was let go.
            ended += u32::from(came.kind == kind::RESET);
            ended +=
                u32::from(matches!(came.kind, kind::DATA | kind::HEADERS) && came.flags & END_STREAM > 0);
            if came.kind == kind::HEADERS && begun == answers {
                writer.write_all(&frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 16, 0, 0])).await?;
                writer.write_all(&frame(kind::WINDOW, 0, 0, &(64_u32 << 20).to_be_bytes())).await?;
            }
        }
        Ok(())
    }

    /// SETTINGS_INITIAL_WINDOW_SIZE = 0, then requests for so many long answers.
    fn shut(&self, ask: &Value, answers: u32) -> Vec<u8> {
        let mut begun = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        for turn in 0..answers {
            begun.extend(self.open(stream(turn)));
            begun.extend(frame(kind::DATA, END_STREAM, stream(turn), ask.to_string().as_bytes()));
        }
        begun
    }

    /// Most memory that the gateway has ever had, in bytes.
    fn peak(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
    }

    /// As [`House::attack`], by who fetches no answers to speak of.
    async fn flood(&self, beginning: Vec<u8>, next: impl FnMut(u32) -> Vec<u8> + Send) -> Option<u32> {
        self.attack(0, beginning, next).await
    }

    /// For the attacker so many answers are fetched at one time, and for a caller before it, whose cost is not the attack's.
    /// Sends `beginning`, then what `next` makes of 0, 1, 2, … until the gateway closes the connection; the reason it gave.
    async fn attack(
        &self,
        answers: u32,
        beginning: Vec<u8>,
        mut next: impl FnMut(u32) -> Vec<u8> + Send,
    ) -> Option<u32> {
        let ask = ask();
        self.legitimate(&ask, answers).await;
        let before = self.peak();
        let (reader, mut writer) = frames::connect(self.gateway.address).await.unwrap();
        let mut sent = beginning.len();
        let sending = async {
            if writer.write_all(&beginning).await.is_err() {
                return;
            }
            for turn in 0.. {
                let bytes = next(turn);
                // Whoever has nothing more to say waits.
                if bytes.is_empty() || writer.write_all(&bytes).await.is_err() {
                    break;
                }
                sent += bytes.len();
                assert!(sent < BYTES, "nobody stopped it");
                tokio::task::yield_now().await;
            }
            std::future::pending().await
        };
        let reason = tokio::select! {
            reason = soon("the gateway closes the connection", reader.closed()) => reason,
            () = sending => None,
            () = self.others(&ask) => None,
        };
        let grown = self.peak().saturating_sub(before);
        println!("sent {sent} bytes, memory grew by {grown}, reason {reason:?}");
        assert!(grown < 100 * sent.max(LEAST), "{sent} bytes cost {grown}");
        assert_eq!(self.gateway.chat(&self.key, &ask).await.status(), 200);
        reason
    }

    /// Opens a stream and leaves it open.
    fn open(&self, stream: u32) -> Vec<u8> {
        frame(kind::HEADERS, END_HEADERS, stream, &chat_block(&self.key))
    }
}

/// The number of the stream that a client opens as its `turn`th.
const fn stream(turn: u32) -> u32 {
    2 * turn + 1
}

#[tokio::test]
async fn continuation_without_end() {
    let house = house().await;
    let begun = frame(kind::HEADERS, 0, 1, &chat_block(&house.key));
    let piece = frame(kind::CONTINUATION, 0, 1, &literal("x-filler", &"f".repeat(8000)));
    let reason = house.flood(begun, |_| piece.clone()).await;
    assert!(reason.is_some(), "it is told why");

    let begun = frame(kind::HEADERS, 0, 1, &chat_block(&house.key));
    let empty = frame(kind::CONTINUATION, 0, 1, &[]);
    assert_eq!(house.flood(begun, |_| empty.clone()).await, Some(CALM));
}

#[tokio::test]
async fn streams_that_are_reset_at_once() {
    let house = house().await;
    let cancel = 8_u32.to_be_bytes();
    let _ = house
        .flood(Vec::new(), |turn| {
            [house.open(stream(turn)), frame(kind::RESET, 0, stream(turn), &cancel)].concat()
        })
        .await;
    // With a body too: each of these is a request that goes to the provider.
    let body = json!({ "model": "m", "stream": true, "messages": [] }).to_string();
    let _ = house
        .flood(Vec::new(), |turn| {
            let data = frame(kind::DATA, END_STREAM, stream(turn), body.as_bytes());
            [house.open(stream(turn)), data, frame(kind::RESET, 0, stream(turn), &cancel)].concat()
        })
        .await;
    house.gateway.ledger_check();
}

#[tokio::test]
async fn streams_that_the_gateway_is_made_to_reset() {
    let house = house().await;
    // More window than there can be breaks the protocol in that stream alone.
    let too_much = 0x7fff_ffff_u32.to_be_bytes();
    let reason = house
        .flood(Vec::new(), |turn| {
            [house.open(stream(turn)), frame(kind::WINDOW, 0, stream(turn), &too_much)].concat()
        })
        .await;
    assert_eq!(reason, Some(CALM));
    // None at all breaks it for the connection.
    let nothing = 0_u32.to_be_bytes();
    let reason = house
        .flood(Vec::new(), |turn| {
            [house.open(stream(turn)), frame(kind::WINDOW, 0, stream(turn), &nothing)].concat()
        })
        .await;
    assert!(reason.is_some());
}

#[tokio::test]
async fn data_without_bytes() {
    let house = house().await;
    let empty = frame(kind::DATA, 0, 1, &[]);
    assert_eq!(house.flood(house.open(1), |_| empty.clone()).await, Some(CALM));
    let tiny = frame(kind::DATA, 0, 1, b" ");
    assert!(house.flood(house.open(1), |_| tiny.clone()).await.is_some());
}

#[tokio::test]
async fn a_window_that_stays_shut() {
    let house = house().await;
    // As many long answers as may be under way; nothing is ever taken.
    let begun = house.shut(&ask(), UNTAKEN);
    let _ = house.attack(UNTAKEN, begun, |_| Vec::new()).await;
}

#[tokio::test]
async fn settings_and_pings_without_a_request() {
    let house = house().await;
    let settings = frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    let _ = house.flood(Vec::new(), |_| settings.clone()).await;
    let ping = frame(kind::PING, 0, 0, &[7; 8]);
    let _ = house.flood(Vec::new(), |_| ping.clone()).await;
}

#[tokio::test]
async fn headers_that_unfold() {
    let house = house().await;
    // A long header goes into the table once; each byte 0xbe then stands for all of it.
    let mut entry = vec![0x40];
    entry.extend_from_slice(&literal("x-bomb", &"b".repeat(3900))[1..]);
    let _ = house
        .flood(Vec::new(), |turn| {
            let block = [chat_block(&house.key), entry.clone(), vec![0xbe; 8000]].concat();
            frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(turn), &block)
        })
        .await;
}

#[tokio::test]
async fn a_preface_and_nothing_else() {
    let house = house().await;
    let _ = house.flood(Vec::new(), |_| Vec::new()).await;
}
