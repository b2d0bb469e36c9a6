//! The floor: the least that a relay of HTTP/1.1 can do for whole replies. It knows lengths and nothing else, so it is no
//! proxy that anybody should run; what another one takes beyond it is the price of what that one does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::failure::{Failure, Result};

/// As long as Weir waits for a read.
const READ: Duration = Duration::from_secs(60);

type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// Serves until the process is told to stop.
pub fn serve(listen: &str, upstream: &str) -> Result<()> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    threads.block_on(async {
        let (listener, idle) = (TcpListener::bind(listen).await?, Idle::default());
        let upstream: Arc<str> = upstream.into();
        // What is waited for on this thread would not be a worker's.
        let accepting = tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await?;
                tokio::spawn(relay(caller, Arc::clone(&upstream), Arc::clone(&idle)));
            }
        });
        accepting.await.map_err(|panic| Failure::new(panic.to_string()))?
    })
}

async fn relay(mut caller: TcpStream, upstream: Arc<str>, idle: Idle) -> Result<()> {
    caller.set_nodelay(true)?;
    let (mut request, mut reply) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    while message(&mut caller, &mut request).await? {
        let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut provider = match kept {
            Some(provider) => provider,
            None => {
                let provider = TcpStream::connect(&*upstream).await?;
                provider.set_nodelay(true)?;
                provider
            }
        };
        provider.write_all(&request).await?;
        if !message(&mut provider, &mut reply).await? {
            return Err(Failure::new("the upstream broke off"));
        }
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(provider);
        caller.write_all(&reply).await?;
        request.clear();
        reply.clear();
    }
    Ok(())
}

/// Reads one message with a length; `false`: the other side has closed.
async fn message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool> {
    loop {
        if let Some(head) = memmem::find(buffer, b"\r\n\r\n")
            && buffer.len() >= head + 4 + length(&buffer[..head])
        {
            return Ok(true);
        }
        let read = timeout(READ, stream.read_buf(buffer)).await;
        if read.map_err(|_| Failure::new("nothing came"))?? == 0 {
            return Ok(false);
        }
    }
}

fn length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)));
    let value = line.and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
