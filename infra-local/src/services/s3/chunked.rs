//! Bodies in `aws-chunked` encoding: sizes, data and, at the end, trailing headers with checksums.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame};
use sha2::{Digest as _, Sha256};

use crate::wire::sigv4::ChunkSignatures;

/// Maximum length of a line between chunks, which can contain a signature.
const LINE_LIMIT: usize = 4096;

/// Trailing headers of a body.
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

/// Decodes a body; `trailers` contains its trailers once it has been read to its end. It fails with
/// [`io::ErrorKind::PermissionDenied`] after a chunk with a wrong signature.
pub(super) fn decode<B>(body: B, trailers: Trailers, signatures: Option<ChunkSignatures>) -> s3s::Body
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let frames = chunks(body, trailers, signatures).map_ok(Frame::data);
    s3s::Body::http_body_unsync(StreamBody::new(frames))
}

fn chunks<B>(body: B, trailers: Trailers, signatures: Option<ChunkSignatures>) -> impl Stream<Item = io::Result<Bytes>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let signed = signatures.map(Signed::new);
    let decoder = Decoder { body, buffer: BytesMut::new(), state: State::Size, trailers, signed };
    stream::try_unfold(decoder, |mut decoder| async move { Ok(decoder.next().await?.map(|bytes| (bytes, decoder))) })
}

struct Decoder<B> {
    body: B,
    buffer: BytesMut,
    state: State,
    trailers: Trailers,
    /// State of the verification; `None` when chunks are not signed.
    signed: Option<Signed>,
}

/// Parts of a chunk, or of the trailers, that its signature covers.
struct Signed {
    signatures: ChunkSignatures,
    data: Sha256,
    /// The signature before the chunk's data.
    given: String,
    /// Trailers in the form in which they are signed.
    lines: Vec<u8>,
}

impl Signed {
    fn new(signatures: ChunkSignatures) -> Self {
        Self { signatures, data: Sha256::new(), given: String::new(), lines: Vec::new() }
    }

    fn begin(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let signature = text.split(';').find_map(|part| part.trim().strip_prefix("chunk-signature="));
        signature.unwrap_or_default().clone_into(&mut self.given);
    }

    fn end(&mut self) -> io::Result<()> {
        let data = std::mem::take(&mut self.data).finalize();
        self.signatures.check(&data, &self.given).map_err(|_| wrong_signature())
    }

    /// Reads a trailer. The last one is the signature of those before it.
    fn trailer(&mut self, line: &[u8]) -> io::Result<()> {
        let line = line.trim_ascii_end();
        if let Some(signature) = line.strip_prefix(b"x-amz-trailer-signature:") {
            let signature = String::from_utf8_lossy(signature);
            let lines = std::mem::take(&mut self.lines);
            return self.signatures.check_trailers(&lines, signature.trim()).map_err(|_| wrong_signature());
        }
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        Ok(())
    }

    /// Returns whether trailers have not been verified by a signature.
    fn is_open(&self) -> bool {
        !self.lines.is_empty()
    }
}

enum State {
    /// Before a chunk's size.
    Size,
    /// Inside of a chunk, with the number of remaining bytes.
    Data(usize),
    /// After a chunk's data.
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
                    let size = chunk_size(&line)?;
                    if let Some(signed) = &mut self.signed {
                        signed.begin(&line);
                        if size == 0 {
                            signed.end()?;
                        }
                    }
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(left) => {
                    if self.buffer.is_empty() && !self.fill().await? {
                        return Err(malformed("the body ends in the middle of a chunk"));
                    }
                    let taken = self.buffer.split_to(left.min(self.buffer.len())).freeze();
                    if let Some(signed) = &mut self.signed {
                        signed.data.update(&taken);
                    }
                    self.state = if taken.len() == left { State::DataEnd } else { State::Data(left - taken.len()) };
                    return Ok(Some(taken));
                }
                State::DataEnd => match self.line().await? {
                    Some(line) if line.is_empty() => {
                        self.signed.as_mut().map_or(Ok(()), Signed::end)?;
                        self.state = State::Size;
                    }
                    _ => return Err(malformed("a chunk is longer than its size says")),
                },
                State::Trailers => match self.line().await? {
                    Some(line) if !line.is_empty() => {
                        self.signed.as_mut().map_or(Ok(()), |signed| signed.trailer(&line))?;
                        self.trailers.add(&line)?;
                    }
                    _ if self.signed.as_ref().is_some_and(Signed::is_open) => return Err(wrong_signature()),
                    _ => self.state = State::Done,
                },
                State::Done => return Ok(None),
            }
        }
    }

    /// Reads the next line without its end; `None` at the end of the body.
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
                // Some clients omit the last line end.
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Reads more bytes; false at the end of the body.
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

fn wrong_signature() -> io::Error {
    let problem = "The signature of a chunk does not match what was computed with the key's secret.";
    io::Error::new(io::ErrorKind::PermissionDenied, problem)
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the aws-chunked body is malformed: {problem}"))
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
        let stream = chunks(StreamBody::new(stream::iter(frames)), trailers.clone(), None);
        let data = stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        (data.await, trailers)
    }

    #[tokio::test]
    async fn data_and_trailers_come_apart_wherever_the_network_cuts_them() {
        let complete_body =
            "5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        for cut in 0..complete_body.len() {
            let (data, trailers) = run(&[&complete_body[..cut], &complete_body[cut..]]).await;
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

    /// Returns the examples of "Signature calculations for the Authorization header: transferring a payload in multiple
    /// chunks" in the S3 API reference: 65,536 and 1,024 times an `a`.
    fn example(payload: &str, seed: &str) -> ChunkSignatures {
        let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
        let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={seed}");
        let request = hyper::Request::put("/examplebucket/chunkObject.txt")
            .header("authorization", authorization)
            .header("x-amz-date", "20130524T000000Z");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let signed = crate::wire::sigv4::Signed::of(&head.headers, &head.uri).unwrap();
        signed.chunks("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", payload).unwrap()
    }

    async fn receive(body: String, signatures: ChunkSignatures) -> io::Result<usize> {
        let frames = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(body)))]);
        let pieces = chunks(StreamBody::new(frames), Trailers::default(), Some(signatures));
        pieces.try_fold(0, |all, piece| async move { Ok(all + piece.len()) }).await
    }

    #[tokio::test]
    async fn every_chunk_must_be_signed_in_order() {
        let (large, small) = ("a".repeat(65536), "a".repeat(1024));
        let body = format!(
            "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n{large}\r\n\
             400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n{small}\r\n\
             0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
        );
        let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
        let check = async |body: String| receive(body, example("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", seed)).await;
        assert_eq!(check(body.clone()).await.unwrap(), 65536 + 1024);
        let changed = body.replacen("\r\na", "\r\nb", 1);
        let cut = format!("0{}", &body[body.find(";chunk-signature=b6").unwrap()..]);
        for wrong in [changed, cut, body.replace("b6c6ea8a", "b6c6ea8b"), body.replace(";chunk-signature=", ";x=")] {
            assert_eq!(check(wrong).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }

    #[tokio::test]
    async fn trailers_are_signed_as_well() {
        let (large, small) = ("a".repeat(65536), "a".repeat(1024));
        let body = format!(
            "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n{large}\r\n\
             400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n{small}\r\n\
             0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n\
             x-amz-checksum-crc32c:sOO8/Q==\r\n\
             x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
        );
        let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        let payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
        let check = async |body: String| receive(body, example(payload, seed)).await;
        assert_eq!(check(body.clone()).await.unwrap(), 65536 + 1024);
        let unsigned = format!("{}\r\n", &body[..body.find("x-amz-trailer").unwrap()]);
        for wrong in [body.replace("sOO8", "sOO9"), unsigned] {
            assert_eq!(check(wrong).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
