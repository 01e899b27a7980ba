//! Texts of images, and their estimated widths.

/// Returns an upper estimate of the width of a text in the usual sans-serif fonts, in pixels.
pub(crate) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | '|' | '\'' => 0.31,
        'f' | 't' | 'r' | 'I' | ' ' | '(' | ')' | '/' | '-' => 0.4,
        'm' | 'w' | 'M' | 'W' | '…' => 0.95,
        'A'..='Z' => 0.74,
        c if c.is_ascii() => 0.6,
        _ => 1.0,
    };
    text.chars().map(em).sum::<f64>() * size * if bold { 1.06 } else { 1.0 }
}

/// Shortens a text to `most` pixels, without its middle.
pub(crate) fn fit(text: &str, size: f64, bold: bool, most: f64) -> String {
    if width(text, size, bold) <= most {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    for kept in (2..characters.len()).rev() {
        let (start, end) = (kept - kept / 2, characters.len() - kept / 2);
        let shorter: String = characters[..start].iter().chain(['…'].iter()).chain(&characters[end..]).collect();
        if width(&shorter, size, bold) <= most {
            return shorter;
        }
    }
    "…".to_owned()
}

/// Escapes a text for an element or an attribute.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_in_the_middle() {
        assert_eq!(fit("vpc", 13.0, true, 150.0), "vpc");
        let fitted = fit("peering-us-east-2-database-network", 13.0, true, 150.0);
        assert_eq!(fitted, "peering-u…e-network");
        assert!(width(&fitted, 13.0, true) <= 150.0);
    }
}
