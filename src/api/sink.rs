//! Sink: where a thread writes an answer. A short answer becomes one response with its length; a
//! long one is sent while it is still being written, encoded on the way.

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use crate::web::body::{Body, empty};
use crate::web::compress::{Encoder, Encoding};

/// Bytes written before something is sent.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait for a slow client.
const PIECES_AHEAD: usize = 8;

/// Where the head of a response goes: once.
pub type HeadSender = oneshot::Sender<Response<Body>>;

/// A JSON answer in the making.
pub struct Sink {
    /// Write here, and call [`Sink::spill`] now and then.
    pub buf: Vec<u8>,
    status: StatusCode,
    headers: HeaderMap,
    encoder: Encoder,
    out: Out,
}

enum Out {
    /// Nothing sent yet.
    Head(HeadSender),
    /// Under way.
    Pieces(mpsc::Sender<Bytes>),
    /// The client has gone.
    Gone,
}

impl Sink {
    /// A sink for a response with `headers` (CORS), its body in `encoding`.
    pub fn new(mut headers: HeaderMap, encoding: Encoding, head: HeadSender) -> Sink {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Some(name) = encoding.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Sink {
            buf: Vec::with_capacity(1024),
            status: StatusCode::OK,
            headers,
            encoder: Encoder::new(encoding),
            out: Out::Head(head),
        }
    }

    /// Sets the status; before anything is spilled.
    pub fn status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// Sends what has been written if that is much. `false`: nobody reads any more, stop.
    pub fn spill(&mut self) -> bool {
        if self.buf.len() < PIECE {
            return !matches!(self.out, Out::Gone);
        }
        let piece = self.encoder.pass(&mut self.buf);
        if piece.is_empty() {
            return !matches!(self.out, Out::Gone);
        }
        self.send(piece);
        !matches!(self.out, Out::Gone)
    }

    fn send(&mut self, piece: Vec<u8>) {
        let pieces = match std::mem::replace(&mut self.out, Out::Gone) {
            Out::Head(head) => {
                let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
                if head.send(self.response(Body::Stream(receiver))).is_err() {
                    return;
                }
                sender
            }
            Out::Pieces(pieces) => pieces,
            Out::Gone => return,
        };
        if pieces.blocking_send(piece.into()).is_ok() {
            self.out = Out::Pieces(pieces);
        }
    }

    fn response(&mut self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = std::mem::take(&mut self.headers);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// Sends the rest.
    pub fn finish(mut self) {
        let _ = self.encoder.write(&self.buf);
        let encoder = std::mem::replace(&mut self.encoder, Encoder::Identity(Vec::new()));
        let rest = encoder.finish().unwrap_or_default();
        match std::mem::replace(&mut self.out, Out::Gone) {
            Out::Head(head) => {
                let response = self.response(Body::whole(rest));
                // A receiver that is gone needs no answer.
                let _ = head.send(response);
            }
            Out::Pieces(pieces) if !rest.is_empty() => {
                let _ = pieces.blocking_send(rest.into());
            }
            Out::Pieces(_) | Out::Gone => {}
        }
    }

    /// Answers 204 without a body.
    pub fn no_content(mut self) {
        if let Out::Head(head) = std::mem::replace(&mut self.out, Out::Gone) {
            let mut response = empty(StatusCode::NO_CONTENT);
            *response.headers_mut() = std::mem::take(&mut self.headers);
            response.headers_mut().remove(CONTENT_ENCODING);
            let _ = head.send(response);
        }
    }
}
