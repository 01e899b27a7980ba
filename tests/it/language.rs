//! Language rules for comments, documentation and messages: no comment opens with a subordinate clause in place of its
//! subject, and no text contains one of the phrases of [`PHRASES`].

use std::{fs, path::Path};

/// Words that no comment may open with, unless its first sentence is a question.
const OPENERS: &[&str] = &[
    "As whom",
    "How",
    "Nobody",
    "Of those",
    "Somebody",
    "That",
    "What",
    "Whatever",
    "Who",
    "Whoever",
    "Whom",
    "Whose",
    "With which",
];

/// Phrases that no text may contain, in lower case.
const PHRASES: &[&str] = &[
    "anew",
    "as if nothing",
    "as it lives",
    "as whom",
    "bring in order",
    "brought in order",
    "came to be",
    "come about",
    "comes about",
    "come to terms",
    "goes first",
    "goes last",
    "in the words of",
    "in truth",
    "is told",
    "are told",
    "was told",
    "lives on",
    "nobody",
    "of its own accord",
    "of one's own",
    "says how",
    "says what",
    "says who",
    "somebody",
    "still lives",
    "tells how",
    "tells what",
    "tells which",
    "that lives",
    "the one before",
    "the one who",
    "those of it",
    "those who",
    "what lives",
    "whoever",
    "whomever",
    "whose place",
    "who may know",
];

/// Prefixes that no function may have in its name.
const TEST_PREFIXES: &[&str] = &["how_", "nobody_", "somebody_", "that_", "what_", "who_", "whoever_", "whose_"];

/// Files, and parts of their lines that may contain a phrase.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// This file, which contains all phrases.
const THIS_FILE: &str = "tests/it/language.rs";

/// Directories without sources of this repository.
const IGNORED: &[&str] = &["target", ".git", "snapshots"];

/// Consecutive lines of a comment or a paragraph, or one line of code.
struct Block {
    line: usize,
    text: String,
    is_prose: bool,
}

#[test]
fn texts_follow_the_language_rules() {
    let root = tests::workspace();
    let mut unused = EXCEPTIONS.to_vec();
    let mut problems = Vec::new();
    for file in sources(&root) {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        for block in blocks(&file, &text) {
            let excepted = |(path, part): &(&str, &str)| *path == file && block.text.contains(part);
            if EXCEPTIONS.iter().any(excepted) {
                unused.retain(|exception| !excepted(exception));
            } else {
                problems.extend(problem(&block).map(|problem| format!("{file}:{}: {problem}", block.line)));
            }
        }
    }
    problems.extend(unused.iter().map(|(file, part)| format!("{file}: remove the exception of `{part}`")));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn openers_phrases_and_names_are_detected() {
    let text = r#"
        //! Whose place it
        //! takes.
        fn what_is_left_goes() {}
        /// Returns `whoever`. What is it? A question.
        fail("it is made anew"); // ignored: only texts and whole comments are checked, not whoever
    "#;
    let found: Vec<_> = blocks("x.rs", text).iter().filter_map(|block| Some((block.line, problem(block)?))).collect();
    assert_eq!(
        found,
        [
            (2, "opens with `Whose`: begin with the subject".to_owned()),
            (4, "begins with `what_`: name the test by a subject and a verb".to_owned()),
            (6, "contains `anew`: see the phrases in tests/it/language.rs".to_owned()),
        ]
    );
    let text = "# How it works\n\nHow it works.\n\n| a | is told |\n```\nanew\n```\n";
    let found: Vec<_> = blocks("x.md", text).iter().filter(|block| problem(block).is_some()).map(|b| b.line).collect();
    assert_eq!(found, [3, 5]);
}

/// Returns the violated rule.
fn problem(block: &Block) -> Option<String> {
    let Block { text, is_prose, .. } = block;
    if let Some(opener) = opener(text).filter(|_| *is_prose) {
        return Some(format!("opens with `{opener}`: begin with the subject"));
    }
    let name = text.trim_start_matches("async ").strip_prefix("fn ").unwrap_or_default();
    if let Some(prefix) = TEST_PREFIXES.iter().find(|prefix| name.starts_with(**prefix)) {
        return Some(format!("begins with `{prefix}`: name the test by a subject and a verb"));
    }
    let prose = if *is_prose { without_code_spans(text) } else { texts_in(text) }.to_lowercase();
    let phrase = PHRASES.iter().find(|phrase| contains(&prose, phrase))?;
    Some(format!("contains `{phrase}`: see the phrases in {THIS_FILE}"))
}

/// Returns the relative paths of all sources and scripts, sorted.
fn sources(root: &Path) -> Vec<String> {
    let mut directories = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !IGNORED.contains(&name.as_str()) && !name.starts_with(".infra") {
                directories.push(path);
            } else if kind.is_file() && is_source(&path) {
                files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.retain(|file| file != THIS_FILE);
    files.sort();
    files
}

/// Returns `true` for sources by their extension, and for scripts without one.
fn is_source(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => ["html", "md", "py", "rs", "sh", "tf", "toml"].contains(&extension),
        None => fs::read(path).is_ok_and(|content| content.starts_with(b"#!")),
    }
}

/// Splits a file into blocks.
fn blocks(file: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    let (mut continues, mut is_fenced) = (false, false);
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            is_fenced = !is_fenced;
        }
        let prose = match extension {
            Some("rs") => trimmed.starts_with("//").then(|| trimmed.trim_start_matches(['/', '!'])),
            Some("md") => (!is_fenced && !trimmed.is_empty()).then_some(trimmed),
            Some("html") => Some(trimmed),
            _ if trimmed.starts_with("#!") => None,
            _ => trimmed.strip_prefix('#').or_else(|| trimmed.strip_prefix("\"\"\"").filter(|text| !text.is_empty())),
        };
        let prose = prose.map(str::trim);
        match (prose, blocks.last_mut()) {
            (Some(more), Some(block)) if continues => {
                block.text.push(' ');
                block.text.push_str(more);
            }
            _ => {
                let (text, is_prose) = (prose.unwrap_or(trimmed).to_owned(), prose.is_some());
                blocks.push(Block { line: at + 1, text, is_prose });
            }
        }
        continues = prose.is_some() && extension != Some("html") && !trimmed.starts_with('|');
    }
    blocks
}

/// Returns the forbidden opener of a text, if it has one.
fn opener(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches(['-', '*', '>', ' ']);
    let is_question = text.find(['.', '?', ':']).is_some_and(|end| text[end..].starts_with('?'));
    let follows = |opener: &&&str| {
        text.strip_prefix(**opener).is_some_and(|rest| rest.starts_with([' ', ',', '.', ';', ':']) || rest.is_empty())
    };
    OPENERS.iter().filter(|_| !is_question).find(follows).copied()
}

/// Returns the text without the parts in backticks.
fn without_code_spans(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Returns the string literals in a line of code that consist of several words.
fn texts_in(line: &str) -> String {
    let literals = line.split('"').skip(1).step_by(2).filter(|literal| literal.contains(' '));
    without_code_spans(&literals.collect::<Vec<_>>().join("; "))
}

/// Returns `true` if the text contains the phrase as separate words.
fn contains(text: &str, phrase: &str) -> bool {
    let is_word = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || "_-{}".contains(c));
    text.match_indices(phrase)
        .any(|(at, _)| !is_word(text[..at].chars().next_back()) && !is_word(text[at + phrase.len()..].chars().next()))
}
