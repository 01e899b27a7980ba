//! Bodies that are compared with their signed digest.

use std::io;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body, Frame};
use sha2::{Digest as _, Sha256};

/// Wraps a body so that it fails at its end if its SHA-256 is not `expected`, in hexadecimal digits.
pub(super) fn verify<B>(body: B, expected: String) -> s3s::Body
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let frames = stream::try_unfold(Some((body, Sha256::new())), move |reading| {
        let expected = expected.clone();
        async move {
            let Some((mut body, mut digest)) = reading else { return Ok(None) };
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(io::Error::other)?;
                if let Ok(data) = frame.into_data() {
                    digest.update(&data);
                    return Ok(Some((data, Some((body, digest)))));
                }
            }
            if hex::encode(digest.finalize()) == expected.to_ascii_lowercase() {
                return Ok(None);
            }
            let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    });
    s3s::Body::http_body_unsync(StreamBody::new(frames.map_ok(Frame::data)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn only_the_signed_body_arrives() {
        let digest = hex::encode(Sha256::digest(b"hello"));
        let right = verify(Full::from("hello"), digest.to_uppercase()).collect().await;
        assert_eq!(right.unwrap().to_bytes(), "hello");
        assert!(verify(Full::from("hullo"), digest).collect().await.is_err());
    }
}
