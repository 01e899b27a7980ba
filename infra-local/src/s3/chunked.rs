//! Bodies in `aws-chunked` encoding: sizes, data and, at the end, trailing headers with checksums.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame};

/// The longest line between chunks; a signature fits in easily.
const LINE_LIMIT: usize = 4096;

/// Headers that came behind the body.
#[derive(Clone, Default)]
pub(super) struct Trailers(Arc<Mutex<Vec<(String, String)>>>);

impl Trailers {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let trailers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trailers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn add(&self, line: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(line).map_err(|_| malformed("a trailer is not text"))?;
        let (name, value) = text.split_once(':').ok_or_else(|| malformed("a trailer has no colon"))?;
        let trailer = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(trailer);
        Ok(())
    }
}

/// Decodes a body; its trailers are in `trailers` once it was read to its end. Signatures of chunks are not verified.
pub(super) fn decode<B>(body: B, trailers: Trailers) -> s3s::Body
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let frames = chunks(body, trailers).map_ok(Frame::data);
    s3s::Body::http_body_unsync(StreamBody::new(frames))
}

fn chunks<B>(body: B, trailers: Trailers) -> impl Stream<Item = io::Result<Bytes>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let decoder = Decoder { body, buffer: BytesMut::new(), state: State::Size, trailers };
    stream::try_unfold(decoder, |mut decoder| async move { Ok(decoder.next().await?.map(|bytes| (bytes, decoder))) })
}

struct Decoder<B> {
    body: B,
    buffer: BytesMut,
    state: State,
    trailers: Trailers,
}

enum State {
    /// In front of a chunk's size.
    Size,
    /// In a chunk with so many bytes to come.
    Data(usize),
    /// Behind a chunk's data.
    DataEnd,
    Trailers,
    Done,
}

impl<B> Decoder<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.state {
                State::Size => {
                    let line = self.line().await?.ok_or_else(|| malformed("the body ends before its last chunk"))?;
                    self.state = match chunk_size(&line)? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if self.buffer.is_empty() && !self.fill().await? {
                        return Err(malformed("the body ends in the middle of a chunk"));
                    }
                    let taken = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    self.state = if taken.len() == left { State::DataEnd } else { State::Data(left - taken.len()) };
                    return Ok(Some(taken));
                }
                State::DataEnd => match self.line().await? {
                    Some(line) if line.is_empty() => self.state = State::Size,
                    _ => return Err(malformed("a chunk is longer than its size says")),
                },
                State::Trailers => match self.line().await? {
                    Some(line) if !line.is_empty() => self.trailers.add(&line)?,
                    _ => self.state = State::Done,
                },
                State::Done => return Ok(None),
            }
        }
    }

    /// The next line without its end; `None` when the body is over.
    async fn line(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Ok(Some(line));
            }
            if self.buffer.len() > LINE_LIMIT {
                return Err(malformed("a line between chunks is too long"));
            }
            if !self.fill().await? {
                // Some clients leave out the last line end.
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Reads on; false when the body is over.
    async fn fill(&mut self) -> io::Result<bool> {
        loop {
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.buffer.extend_from_slice(&data);
                        return Ok(true);
                    }
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(false),
            }
        }
    }
}

/// Reads `1a4` or `1a4;chunk-signature=…`.
fn chunk_size(line: &[u8]) -> io::Result<usize> {
    let text = std::str::from_utf8(line).ok().and_then(|text| text.split(';').next()).map(str::trim);
    text.and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or_else(|| malformed("a chunk's size is not a hexadecimal number"))
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the aws-chunked body is malformed: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;

    use super::*;

    async fn run(pieces: &[&'static str]) -> (io::Result<Vec<u8>>, Trailers) {
        let frames: Vec<Result<Frame<Bytes>, Infallible>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        let trailers = Trailers::default();
        let stream = chunks(StreamBody::new(stream::iter(frames)), trailers.clone());
        let data = stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        (data.await, trailers)
    }

    #[tokio::test]
    async fn data_and_trailers_come_apart_wherever_the_network_cuts_them() {
        let whole = "5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        for cut in 0..whole.len() {
            let (data, trailers) = run(&[&whole[..cut], &whole[cut..]]).await;
            assert_eq!(data.unwrap(), b"hello world", "cut at {cut}");
            assert_eq!(trailers.get("x-amz-checksum-crc32").as_deref(), Some("DUoRhQ=="));
        }
    }

    #[tokio::test]
    async fn truncated_and_wrong_bodies_are_errors() {
        for body in ["5\r\nhel", "5\r\nhello", "zz\r\n", "3\r\nhello\r\n0\r\n\r\n", ""] {
            assert!(run(&[body]).await.0.is_err(), "{body:?}");
        }
        assert_eq!(run(&["0\r\n\r\n"]).await.0.unwrap(), b"");
    }
}
