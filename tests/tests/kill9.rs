//! `kill -9` at any moment: what was acknowledged is posted once and rightly, and the ledger holds together.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_saw_end_is_posted_once_after_twenty_kills() {
    let outcome = weir_tests::drill::kill9::run(20).await;
    assert!(outcome.broken.is_empty(), "{outcome}");
}
