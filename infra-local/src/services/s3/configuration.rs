//! The tags in the configuration of a new bucket, which s3s does not parse.

use http_body_util::{BodyExt as _, Limited};
use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use quick_xml::Reader;
use quick_xml::events::Event;
use s3s::dto::{Tag, TagSet};

use crate::wire::{ApiError, Outcome};

/// Enough for fifty of the longest tags.
const LIMIT_BYTES: usize = 256 * 1024;

/// Returns whether a request is CreateBucket.
pub(super) fn creates_bucket(head: &Parts) -> bool {
    let plain = head.uri.query().is_none_or(|query| query.is_empty() || query.starts_with("x-id="));
    let path = head.uri.path().trim_matches('/');
    head.method == Method::PUT && plain && !path.is_empty() && !path.contains('/')
}

/// Reads the tags in a configuration, and returns them with the unchanged body.
pub(super) async fn read(body: s3s::Body) -> Outcome<(TagSet, s3s::Body)> {
    let body_bytes = Limited::new(body, LIMIT_BYTES).collect().await;
    let body_bytes: Bytes = body_bytes.map_err(|error| malformed(&error.to_string()))?.to_bytes();
    Ok((tags(&body_bytes)?, s3s::Body::from(body_bytes)))
}

/// Parses `CreateBucketConfiguration/Tags/Tag/Key` and `…/Value`. Directory buckets are refused.
fn tags(xml: &[u8]) -> Outcome<TagSet> {
    let mut reader = Reader::from_reader(xml);
    let (mut path, mut tags) = (Vec::<String>::new(), TagSet::new());
    let unreadable = |error: &dyn std::fmt::Display| malformed(&error.to_string());
    loop {
        match reader.read_event().map_err(|error| unreadable(&error))? {
            Event::Start(element) => {
                path.push(String::from_utf8_lossy(element.local_name().as_ref()).into_owned());
                match names(&path)[..] {
                    ["CreateBucketConfiguration", "Tags", "Tag"] => tags.push(Tag { key: None, value: None }),
                    ["CreateBucketConfiguration", name @ ("Location" | "Bucket")] => return Err(directory(name)),
                    _ => {}
                }
            }
            Event::Empty(element) => {
                let name = element.local_name();
                let (tag, inside) = (tags.last_mut(), names(&path));
                if let (Some(tag), ["CreateBucketConfiguration", "Tags", "Tag"], b"Value") =
                    (tag, &inside[..], name.as_ref())
                {
                    tag.value = Some(String::new());
                }
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => {
                let text = text.decode().map_err(|error| unreadable(&error))?;
                add(&path, tags.last_mut(), &text);
            }
            Event::CData(text) => {
                let text = text.decode().map_err(|error| unreadable(&error))?;
                add(&path, tags.last_mut(), &text);
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| unreadable(&error))?;
                let text = match reference.resolve_char_ref().map_err(|error| unreadable(&error))? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&name)
                        .ok_or_else(|| malformed(&format!("there is no entity '{name}'")))?
                        .to_owned(),
                };
                add(&path, tags.last_mut(), &text);
            }
            Event::Eof => return Ok(tags),
            _ => {}
        }
    }
}

/// Appends a piece of a key or value; the parser may split a text into several.
fn add(path: &[String], tag: Option<&mut Tag>, text: &str) {
    let Some(tag) = tag else { return };
    match names(path)[..] {
        ["CreateBucketConfiguration", "Tags", "Tag", "Key"] => tag.key.get_or_insert_default().push_str(text),
        ["CreateBucketConfiguration", "Tags", "Tag", "Value"] => tag.value.get_or_insert_default().push_str(text),
        _ => {}
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn malformed(problem: &str) -> ApiError {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    ApiError::new("MalformedXML", format!("{message}: {problem}"))
}

fn directory(element: &str) -> ApiError {
    let message = format!("The local cloud has general purpose buckets alone; {element} is for directory buckets");
    ApiError::new("NotImplemented", message).with_status(501)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn configuration(content: &str) -> Result<Vec<(String, String)>, String> {
        let xml = format!("<CreateBucketConfiguration xmlns=\"urn:s3\">{content}</CreateBucketConfiguration>");
        let tags = tags(xml.as_bytes()).map_err(|error| error.code.into_owned())?;
        Ok(tags.into_iter().map(|tag| (tag.key.unwrap(), tag.value.unwrap_or_default())).collect())
    }

    #[test]
    fn tags_are_read_with_entities_and_sections() {
        let text = "<LocationConstraint>us-east-2</LocationConstraint><Tags><Tag><Key>a &amp; &#98;</Key>\
                    <Value><![CDATA[<1>]]></Value></Tag><Tag><Key>empty</Key><Value/></Tag></Tags>";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(configuration(text), Ok(vec![pair("a & b", "<1>"), pair("empty", "")]));
        assert_eq!(configuration(""), Ok(Vec::new()));
        assert_eq!(
            configuration("<Location><Type>AvailabilityZone</Type></Location>"),
            Err("NotImplemented".to_owned())
        );
        assert_eq!(configuration("<Tags><Tag>"), Err("MalformedXML".to_owned()));
        assert!(tags(b"").unwrap().is_empty(), "a bucket may have no configuration");
    }

    #[test]
    fn directory_buckets_are_refused() {
        let asks = |method: &str, uri: &str| {
            creates_bucket(&hyper::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0)
        };
        assert!(asks("PUT", "/bucket") && asks("PUT", "/bucket/"));
        for (method, uri) in [("GET", "/bucket"), ("PUT", "/bucket/key"), ("PUT", "/bucket?tagging"), ("PUT", "/")] {
            assert!(!asks(method, uri), "{method} {uri}");
        }
    }
}
