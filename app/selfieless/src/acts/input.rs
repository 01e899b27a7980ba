//! Parses new acts and ranges.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use chrono::NaiveDateTime;

use super::timestamp;
use crate::{body::Object, refusal::Refusal};

/// Maximum length of a caption, in characters.
pub(super) const CAPTION_CHARACTERS: usize = 1000;

/// A valid new act, whose user and category may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewAct {
    pub(super) act_id: i64,
    pub(super) username: String,
    pub(super) taken_at: NaiveDateTime,
    pub(super) caption: String,
    pub(super) category: String,
    pub(super) image: String,
}

impl NewAct {
    /// Parses an act, whose fields are all required.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for the first fault.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut object = Object::parse(body)?;
        if object.has("upvotes") {
            return Err(Refusal::invalid("upvotes is not a field of a new act."));
        }
        let act_id = object.integer("actId")?;
        let username = object.name("username")?;
        let taken_at = timestamp::parse(&object.text("timestamp", usize::MAX)?)
            .ok_or_else(|| Refusal::invalid("timestamp is not a time in the format DD-MM-YYYY:SS-MM-HH."))?;
        let caption = object.text("caption", CAPTION_CHARACTERS)?;
        let category = object.name("categoryName")?;
        let image = object.text("imgB64", usize::MAX)?;
        if !is_base64(&image) {
            return Err(Refusal::invalid("imgB64 is not base64 with padding."));
        }
        Ok(Self { act_id, username, taken_at, caption, category, image })
    }
}

/// Returns whether a text is padded base64 (RFC 4648, section 4), on one line. Bits after the last byte do not matter.
fn is_base64(text: &str) -> bool {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    ENGINE.decode(text).is_ok()
}

/// A range of a list, whose positions start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Range {
    /// Position of the first act.
    pub(super) start: u64,
    /// Position of the last act.
    pub(super) end: u64,
}

impl Range {
    /// Parses a query such as `start=1&end=10`. Without both parameters, there is no range.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if a parameter is missing, repeated or not a positive number, or if the end is before the
    /// start.
    pub(super) fn parse(query: &str) -> Result<Option<Self>, Refusal> {
        let (mut start, mut end) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let position = match &*name {
                "start" => &mut start,
                "end" => &mut end,
                _ => continue,
            };
            let number = value.parse().ok().filter(|number| *number > 0 && !value.starts_with('+'));
            let number = number.ok_or_else(|| Refusal::invalid(format!("{name} is not a number from 1.")))?;
            if position.replace(number).is_some() {
                return Err(Refusal::invalid(format!("{name} is given twice.")));
            }
        }
        match (start, end) {
            (None, None) => Ok(None),
            (Some(start), Some(end)) if start <= end => Ok(Some(Self { start, end })),
            (Some(_), Some(_)) => Err(Refusal::invalid("end is before start.")),
            _ => Err(Refusal::invalid("start and end are needed together.")),
        }
    }

    /// Returns the number of acts in the range.
    pub(super) fn acts(self) -> u64 {
        (self.end - self.start).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranges_are_inclusive() {
        assert_eq!(Range::parse("").unwrap(), None);
        assert_eq!(Range::parse("other=1").unwrap(), None);
        let range = Range::parse("end=10&start=1&x").unwrap().unwrap();
        assert_eq!((range, range.acts()), (Range { start: 1, end: 10 }, 10));
        let longest = Range::parse("start=1&end=18446744073709551615").unwrap().unwrap();
        assert_eq!(longest.acts(), u64::MAX);
        for wrong in [
            "start=1",
            "end=1",
            "start=0&end=1",
            "start=a&end=1",
            "start=2&end=1",
            "start=&end=",
            "start=+1&end=2",
            "start=-1&end=1",
            "start=1.5&end=2",
            "start=1&end=18446744073709551616",
            "start=1&start=1&end=1",
        ] {
            assert!(Range::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pictures_are_padded_base64() {
        for fine in ["", "QQ==", "QUI=", "QUJD", "QR==", "+/+/"] {
            assert!(is_base64(fine), "{fine}");
        }
        for wrong in ["Q", "QQ", "QQ=", "Q===", "QUJD=", "-_-_", "QU JD", "QUJD\n", "data:image/png;base64,QUJD", "é"]
        {
            assert!(!is_base64(wrong), "{wrong}");
        }
    }
}
