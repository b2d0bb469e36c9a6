//! Sixty-four clients, and a limit that fits exactly k calls.

use crate::common::{NOON, block_on, budget, key, open, posting};
use weir_ledger::{Clock, NewKey, Period, Refused, check};
use weir_llm::price::Nanos;

const CLIENTS: usize = 64;

/// All hold before anyone settles: exactly k fit.
#[test]
fn exactly_k_of_64_are_admitted() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::system());
    for k in [1_usize, 7, 63] {
        let limit = i64::try_from(k).unwrap() * 10 + 9;
        let principal =
            key(&ledger, NewKey { budget: budget(limit, true, Period::Month), ..NewKey::default() });
        let barrier = std::sync::Barrier::new(CLIENTS);
        let admitted: usize = std::thread::scope(|scope| {
            let one = |n: usize| {
                let (ledger, principal, barrier) = (ledger.clone(), principal.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let reserved = block_on(ledger.reserve(&principal, &format!("{k}-{n}"), Nanos(10)));
                    barrier.wait();
                    match reserved {
                        Ok(reservation) => {
                            reservation.settle(posting(10, NOON)).wait().unwrap();
                            1
                        }
                        Err(Refused::OverBudget { posted, pending, limit, .. }) => {
                            assert!(posted.0 + pending.0 + 10 > limit.0);
                            0
                        }
                        Err(other) => panic!("{other}"),
                    }
                })
            };
            let clients: Vec<_> = (0..CLIENTS).map(one).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(admitted, k);
        assert_eq!(ledger.spent(&principal).unwrap().posted, Nanos(10 * i64::try_from(k).unwrap()));
    }
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.postings == 71, "{report}");
}

/// Settling at once, with whole charges: still exactly k, in whatever order they come.
#[test]
fn a_settled_call_leaves_no_more_room_than_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::system());
    let principal = key(&ledger, NewKey { budget: budget(20 * 10, true, Period::None), ..NewKey::default() });
    let admitted: usize = std::thread::scope(|scope| {
        let one = |n: usize| {
            let (ledger, principal) = (ledger.clone(), principal.clone());
            scope.spawn(move || match block_on(ledger.reserve(&principal, &n.to_string(), Nanos(10))) {
                Ok(reservation) => reservation.settle(posting(10, NOON)).wait().is_ok().into(),
                Err(_) => 0,
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(one).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(admitted, 20);
    assert!(check(dir.path()).unwrap().is_clean());
}
