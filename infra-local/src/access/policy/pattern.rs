//! Patterns of policies: wildcards, variables, and ARNs by segments.
//!
//! Source: AWS IAM User Guide, "IAM policy elements: Variables and tags" and "IAM JSON policy elements: Resource".

use crate::access::Context;

/// Number of segments of an ARN. The last one may contain colons.
const SEGMENTS: usize = 6;

/// A text with wildcards, after the replacement of variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`
    One,
    /// `*`
    Any,
}

/// Replacement of variables in patterns.
#[derive(Clone, Copy)]
pub(super) enum Variables<'a> {
    /// Replaces `${aws:username}` and the like by the request's value.
    Of(&'a Context),
    /// Leaves the text as it is: the policy language of 2008 has no variables.
    None,
}

impl Pattern {
    /// Parses a pattern. `None` if it contains a variable that the request does not have, without a default value: such
    /// a pattern matches nothing.
    pub(super) fn parse(text: &str, variables: Variables<'_>) -> Option<Pattern> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let (Some((before, variable)), Variables::Of(context)) = (rest.split_once("${"), variables) {
            let Some((name, after)) = variable.split_once('}') else { break };
            tokens.extend(before.chars().map(Token::wildcard));
            tokens.extend(value(name, context)?.chars().map(Token::Character));
            rest = after;
        }
        tokens.extend(rest.chars().map(Token::wildcard));
        Some(Pattern(tokens))
    }

    /// Parses a text in which only variables have a meaning.
    pub(super) fn literal(text: &str, variables: Variables<'_>) -> Option<String> {
        let Pattern(tokens) = Pattern::parse(text, variables)?;
        let character = |token: &Token| match token {
            Token::Character(character) => *character,
            Token::One => '?',
            Token::Any => '*',
        };
        Some(tokens.iter().map(character).collect())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        matches(&self.0, &text.chars().collect::<Vec<_>>())
    }

    /// Matches an ARN: a wildcard of one segment does not extend into the next one. The pattern `*` matches everything.
    pub(super) fn matches_arn(&self, arn: &str) -> bool {
        if self.0 == [Token::Any] {
            return true;
        }
        let mut patterns: Vec<&[Token]> = self.0.splitn(SEGMENTS, |token| *token == Token::Character(':')).collect();
        // An abbreviated pattern such as `arn:aws:s3*` covers the missing segments by its last wildcard.
        if patterns.len() < SEGMENTS && self.0.last() == Some(&Token::Any) {
            patterns.resize(SEGMENTS, &[Token::Any]);
        }
        let segments: Vec<&str> = arn.splitn(SEGMENTS, ':').collect();
        segments.len() == patterns.len()
            && patterns.iter().zip(segments).all(|(pattern, text)| matches(pattern, &text.chars().collect::<Vec<_>>()))
    }
}

impl Token {
    fn wildcard(character: char) -> Token {
        match character {
            '?' => Token::One,
            '*' => Token::Any,
            other => Token::Character(other),
        }
    }
}

/// Returns the names of the variables in a text, without default values.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    names.map(|name| name.split(',').next().unwrap_or(name).trim()).filter(|name| !["*", "?", "$"].contains(name))
}

/// Matches an action, such as `ec2:RunInstances`, with a pattern, such as `ec2:Describe*`, without regard to case.
pub(super) fn matches_action(pattern: &str, action: &str) -> bool {
    let pattern = Pattern::parse(&pattern.to_ascii_lowercase(), Variables::None);
    pattern.is_some_and(|pattern| pattern.matches(&action.to_ascii_lowercase()))
}

/// Returns the value of a variable: `aws:username`, or `aws:PrincipalTag/team, 'everyone'` with a default value. A key
/// with several values is none.
fn value(variable: &str, context: &Context) -> Option<String> {
    if ["*", "?", "$"].contains(&variable) {
        return Some(variable.to_owned());
    }
    let (name, default) = match variable.split_once(',') {
        Some((name, default)) => {
            (name.trim(), default.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\'')))
        }
        None => (variable.trim(), None),
    };
    context.single(name).or(default).map(str::to_owned)
}

fn matches(pattern: &[Token], text: &[char]) -> bool {
    let (mut at, mut position) = (0, 0);
    // Position of the last `*`, and the length of the text that it covers.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                star = Some((at, position));
                at += 1;
            }
            Some(Token::One) => {
                at += 1;
                position += 1;
            }
            Some(Token::Character(character)) if *character == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match star {
                Some((begin, taken)) => {
                    star = Some((begin, taken + 1));
                    at = begin + 1;
                    position = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|token| *token == Token::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, Variables::None).is_some_and(|pattern| pattern.matches(text))
    }

    fn like_arn(pattern: &str, arn: &str) -> bool {
        Pattern::parse(pattern, Variables::None).is_some_and(|pattern| pattern.matches_arn(arn))
    }

    #[test]
    fn wildcards_match_separators_within_a_segment() {
        assert!(like("arn:aws:s3:::a*z/?", "arn:aws:s3:::abc/yz/1"));
        assert!(!like("a?c", "ac"));
        assert!(like("*", ""));
        assert!(like("a*b*c", "a-b-b-c"));
    }

    #[test]
    fn wildcards_of_arns_do_not_extend_into_the_next_segment() {
        let vpc = "arn:aws:ec2:us-east-1:000000000000:vpc/vpc-1";
        assert!(like_arn("arn:aws:ec2:*:*:vpc/*", vpc));
        assert!(!like_arn("arn:aws:*:vpc/*", vpc));
        assert!(like_arn("arn:aws:ec2:*", vpc));
        assert!(!like_arn("arn:aws:ec2", vpc));
        assert!(like_arn("*", vpc) && like_arn("*", "*"));
        assert!(!like_arn("arn:aws:ec2:*:*:vpc/*", "*"));
        assert!(like_arn("arn:aws:logs:*:*:log-group:a:*", "arn:aws:logs:us-east-1:0:log-group:a:log-stream:b"));
    }

    #[test]
    fn variables_have_default_values_and_their_values_contain_no_wildcards() {
        let context = Context::default().with("aws:username", "e*e");
        let parsed = |text| Pattern::parse(text, Variables::Of(&context));
        assert!(
            parsed("home/${aws:username}/*").is_some_and(|it| it.matches("home/e*e/x") && !it.matches("home/eve/x"))
        );
        assert!(parsed("${aws:PrincipalTag/team, 'all'}").is_some_and(|it| it.matches("all")));
        assert_eq!(parsed("${aws:PrincipalTag/team}"), None);
        assert!(parsed("a${*}").is_some_and(|it| it.matches("a*") && !it.matches("ab")));
        assert_eq!(variables("${a:b}/${c:d, 'x'}/${*}").collect::<Vec<_>>(), ["a:b", "c:d"]);
    }
}
