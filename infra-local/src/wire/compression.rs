//! Compressed request bodies, which SDKs send for large requests of some operations (`requestCompression` in the
//! service model).

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::CONTENT_ENCODING;

use super::{ApiError, Outcome};

/// Decompresses a body of at most `limit` bytes.
pub(crate) fn decoded(headers: &HeaderMap, body: Bytes, limit: usize) -> Outcome<Bytes> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
    let encodings = encodings.flat_map(|value| value.split(',')).map(str::trim);
    let encodings: Vec<&str> = encodings.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")).collect();
    // Encodings are decoded in reverse order.
    encodings.iter().rev().try_fold(body, |body, encoding| {
        if !encoding.eq_ignore_ascii_case("gzip") {
            return Err(unreadable(format!("the encoding '{encoding}' is not supported: gzip is")));
        }
        let mut decompressed = Vec::new();
        let mut decoder = MultiGzDecoder::new(body.as_ref()).take(limit as u64 + 1);
        decoder.read_to_end(&mut decompressed).map_err(|error| unreadable(format!("it is not gzip: {error}")))?;
        if decompressed.len() > limit {
            let message = format!("the request is larger than {limit} bytes when it is not compressed");
            return Err(ApiError::new("RequestEntityTooLarge", message).with_status(413));
        }
        Ok(decompressed.into())
    })
}

fn unreadable(problem: String) -> ApiError {
    ApiError::new("SerializationException", format!("the request body cannot be parsed: {problem}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn read(encoding: &str, body: Bytes) -> Result<Vec<u8>, String> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())]);
        decoded(&headers, body, 1000).map(|body| body.to_vec()).map_err(|error| error.code.into_owned())
    }

    #[test]
    fn compressed_bodies_are_decompressed() {
        let text = b"Action=PutMetricData".to_vec();
        assert_eq!(read("gzip", gzip(&text)), Ok(text.clone()));
        assert_eq!(read("gzip, GZIP", gzip(&gzip(&text))), Ok(text.clone()));
        assert_eq!(read("identity", text.clone().into()), Ok(text.clone()));
        assert_eq!(read("gzip", text.clone().into()), Err("SerializationException".to_owned()));
        assert_eq!(read("br", text.into()), Err("SerializationException".to_owned()));
        assert_eq!(read("gzip", gzip(&[b'a'; 1000])), Ok(vec![b'a'; 1000]));
        assert_eq!(read("gzip", gzip(&[b'a'; 1001])), Err("RequestEntityTooLarge".to_owned()));
    }
}
