//! Listeners: binding as Go binds, and connections served until told to stop.
//!
//! What must hold: no more connections than allowed over all listeners, a slow request cannot hold
//! one for ever, and stopping closes idle connections at once while requests under way may finish.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::body::Body;
use crate::cli::url::split_host_port;
use crate::gotext;

/// How long requests under way may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed accept (out of descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds `address` (`:9090`, `host:port`); the error is Go's text.
pub async fn bind(address: &str) -> Result<TcpListener, String> {
    let (host, port) = split_host_port(address).map_err(|e| format!("listen tcp: {e}"))?;
    let port: u16 = match port {
        "" => 0,
        "http" => 80,
        "https" => 443,
        text => text.parse().map_err(|_| format!("listen tcp: lookup tcp/{text}: unknown port"))?,
    };
    let addresses: Vec<SocketAddr> = if host.is_empty() {
        // Both families, where there are two.
        vec![(Ipv6Addr::UNSPECIFIED, port).into(), ([0, 0, 0, 0], port).into()]
    } else {
        tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| format!("listen tcp: lookup {host}: no such host"))?
            .collect()
    };
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in &addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            // A machine without IPv6: try the other family. Anything else is the answer.
            Err(e) => {
                let in_use = e.kind() == io::ErrorKind::AddrInUse;
                failure = e;
                if in_use {
                    break;
                }
            }
        }
    }
    Err(format!("listen tcp {address}: bind: {}", gotext::os_error(&failure)))
}

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_connections: usize,
    /// For reading a request's head, and for an idle connection.
    pub read_timeout: Duration,
}

/// The other end of a connection; every request carries it among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Serves `listeners` with `handler` until `stop` is done; then lets requests finish for a moment.
pub async fn serve<H, F>(
    listeners: Vec<TcpListener>,
    limits: Limits,
    handler: Arc<H>,
    stop: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let (stopping, stopped) = watch::channel(false);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        let accept = accept(
            listener,
            Arc::clone(&slots),
            limits.read_timeout,
            Arc::clone(&handler),
            stopped.clone(),
        );
        acceptors.spawn(accept);
    }
    drop(stopped);
    stop.await;
    // Receivers are the acceptors and their connections.
    let _ = stopping.send(true);
    let _ =
        tokio::time::timeout(DRAIN, async { while acceptors.join_next().await.is_some() {} }).await;
}

async fn accept<H, F>(
    listener: TcpListener,
    slots: Arc<Semaphore>,
    read_timeout: Duration,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.wait_for(|s| *s) => break,
            Some(_) = connections.join_next() => continue,
        };
        // The semaphore is never closed.
        let Ok(slot) = slot else { break };
        match accepted {
            Ok((stream, peer)) => {
                let handler = Arc::clone(&handler);
                let client = (stream, Peer(peer.ip()));
                connections.spawn(connection(client, read_timeout, handler, stopped.clone(), slot));
            }
            Err(error) => {
                tracing::warn!(component = "web", err = %error, "Error accepting connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<H, F>(
    (stream, peer): (TcpStream, Peer),
    read_timeout: Duration,
    handler: Arc<H>,
    mut stopped: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // Small answers must not wait for an acknowledgement; a socket that refuses still works.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answer = handler(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // Broken connections are the client's business.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|s| *s) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
