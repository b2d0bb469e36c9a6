//! Waiting for work while watching the caller: whoever leaves cancels what is done for him, at once.

use crate::ingress::respond::Gone;
use crate::ingress::session::Session;
use std::future::Future;
use std::pin::pin;

/// Runs `work` to its end unless the caller leaves first; then `work` is dropped, and with it its connection.
///
/// A caller that closes its sending half counts as gone. One that sends bytes past its body (a pipelined request) is
/// no longer watched, and its connection is closed after the reply.
///
/// # Errors
/// The caller has gone.
pub async fn attend<T>(
    session: &mut Session,
    watched: &mut bool,
    work: impl Future<Output = T>,
) -> Result<T, Gone> {
    let mut work = pin!(work);
    if *watched {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            left = session.leaves() => left?,
        }
        *watched = false;
    } else {
        session.flush().await?;
    }
    Ok(work.await)
}
