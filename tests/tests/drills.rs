//! Drills in small: what must hold on any machine. What is a matter of speed is asked by `make drill`.

use weir_tests::drill::{Outcome, disk, idle, overload, restart, soak, streams};

fn holds(outcome: &Outcome) {
    assert!(outcome.broken.is_empty(), "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_an_upstream_that_closes_idle_connections() {
    holds(&idle::run(400).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_cuts_no_stream_and_settles_each() {
    holds(&restart::run(3).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_told_of() {
    holds(&disk::flipped_byte().await);
    holds(&disk::lost_key().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overload_is_refused_before_work_is_done() {
    holds(&overload::run(overload::Load { limit: 8, seconds: 2 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_many_streams_is_lost() {
    holds(&streams::run(streams::Load { streams: 40, seconds: 2 }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_with_callers_that_leave() {
    holds(&soak::run(soak::Length { seconds: 8, warm_up: 1, reload: 2, judged: false }).await);
}
