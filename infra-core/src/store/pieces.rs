//! Reads the snapshot of a large stack piece by piece and with all processors, so that its text is never in memory as a
//! whole.
//!
//! A piece ends with a resource. Resources are found by their indentation, because a snapshot is written in lines. If
//! anything is unusual, the caller reads the text as a whole and reports what is wrong with it.

use super::{checksum, source};
use crate::{
    state::{ResourceState, State},
    urn::Urn,
    value::{self, Seal},
};
use memchr::memmem;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{
    fmt,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Number of bytes that are read at once.
const BLOCK: u64 = 1 << 20;

/// Maximum number of threads.
const MAX_WORKERS: usize = 8;

/// The line that precedes the resources.
const RESOURCES: &[u8] = b"\n  \"resources\": {\n";
/// The end of a resource that is followed by another one, up to its comma.
const RESOURCE_END: &[u8] = b"\n    },\n    \"";
/// The end of the last resource.
const LAST_RESOURCE_END: &[u8] = b"\n    }\n  }";
/// The closing brace of a resource with its indentation.
const CLOSING: &[u8] = b"\n    }";

/// A state, and the size of its text in bytes.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) size: u64,
}

/// Reads a state. Returns `None` if the text cannot be read, its checksum does not match, or it has an unusual form. The
/// invariants of the state are not checked.
pub(super) fn load(text: impl Read + Send, seal: &Arc<dyn Seal>) -> Option<Loaded> {
    let pieces = Mutex::new(Pieces::new(text)?);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
    let parsed = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| value::sealing(seal, || parse(&pieces)))).collect();
        workers.into_iter().map(|worker| worker.join().ok().flatten()).collect::<Option<Vec<_>>>()
    });
    let mut parsed: Vec<(usize, Resources)> = parsed?.into_iter().flatten().collect();
    parsed.sort_by_key(|(number, _)| *number);
    let pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (frame, size) = pieces.finish()?;
    let mut state: State = value::sealing(seal, || serde_json::from_slice(&frame)).ok()?;
    // A list of the final size becomes the map without a copy in between.
    let mut resources = Vec::with_capacity(parsed.iter().map(|(_, part)| part.0.len()).sum());
    parsed.into_iter().for_each(|(_, part)| resources.extend(part.0));
    state.resources = resources.into_iter().collect();
    Some(Loaded { state, size })
}

/// Parses pieces until none is left.
fn parse<R: Read>(pieces: &Mutex<Pieces<R>>) -> Option<Vec<(usize, Resources)>> {
    let (mut parsed, mut text) = (Vec::new(), Vec::new());
    loop {
        let number = pieces.lock().unwrap_or_else(PoisonError::into_inner).next(&mut text);
        let Some(number) = number else {
            return Some(parsed);
        };
        parsed.push((number, serde_json::from_slice(&text).ok()?));
    }
}

/// A text that is split into objects of resources while it is read.
struct Pieces<R> {
    text: R,
    /// The text before the resources, with the opening brace of their object.
    head: Vec<u8>,
    /// Text that was read after the last piece.
    rest: Vec<u8>,
    /// The text after the resources, once it was reached.
    tail: Option<Vec<u8>>,
    /// Checksum of everything before `rest`.
    sum: crc32fast::Hasher,
    size: u64,
    count: usize,
}

impl<R: Read> Pieces<R> {
    fn new(text: R) -> Option<Self> {
        let (head, rest, sum) = Default::default();
        let mut pieces = Self { text, head, rest, tail: None, sum, size: 0, count: 0 };
        let mut block = Vec::new();
        pieces.read(&mut block)?;
        let at = memmem::find(&block, RESOURCES)? + RESOURCES.len() - 1;
        pieces.rest = block.split_off(at);
        pieces.head = block;
        pieces.sum.update(&pieces.head);
        Some(pieces)
    }

    /// Writes the next piece to a buffer and returns its number. `None` means that no piece is left or that the text is
    /// unusual.
    fn next(&mut self, piece: &mut Vec<u8>) -> Option<usize> {
        if self.tail.is_some() {
            return None;
        }
        piece.clear();
        piece.reserve(BLOCK as usize + self.rest.len() + 2);
        piece.push(b'{');
        piece.append(&mut self.rest);
        loop {
            let read = self.read(piece)?;
            if let Some(at) = memmem::find(piece, LAST_RESOURCE_END) {
                let mut tail = piece.split_off(at + CLOSING.len());
                self.size += self.text.read_to_end(&mut tail).ok()? as u64;
                self.sum.update(&piece[1..]);
                self.tail = Some(tail);
            } else if let Some(at) = memmem::rfind(piece, RESOURCE_END) {
                let end = at + CLOSING.len();
                self.sum.update(&piece[1..=end]);
                self.rest = piece.split_off(end + 1);
                piece.truncate(end);
            } else if read > 0 {
                continue;
            } else {
                return None;
            }
            piece.push(b'}');
            self.count += 1;
            return Some(self.count);
        }
    }

    /// Returns the text without its resources and the size of the whole text, if the checksum matches.
    fn finish(self) -> Option<(Vec<u8>, u64)> {
        let (mut frame, tail, mut sum) = (self.head, self.tail?, self.sum);
        let (covered, digits) = source::split_checksum(&tail)?;
        sum.update(covered);
        if checksum::digits(sum.finalize()).as_bytes() != digits {
            return None;
        }
        frame.extend_from_slice(&tail);
        Some((frame, self.size))
    }

    /// Reads a block and returns its length.
    fn read(&mut self, piece: &mut Vec<u8>) -> Option<usize> {
        let read = (&mut self.text).take(BLOCK).read_to_end(piece).ok()?;
        self.size += read as u64;
        Some(read)
    }
}

/// Resources in the order of the text.
struct Resources(Vec<(Urn, ResourceState)>);

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ResourcesVisitor)
    }
}

struct ResourcesVisitor;

impl<'de> Visitor<'de> for ResourcesVisitor {
    type Value = Resources;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("resources")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Resources, A::Error> {
        let mut resources = Vec::new();
        while let Some((urn, mut resource)) = entries.next_entry::<Urn, ResourceState>()? {
            for generation in resource.current.iter_mut().chain(&mut resource.deposed) {
                generation.dependencies.shrink_to_fit();
            }
            resources.push((urn, resource));
        }
        resources.shrink_to_fit();
        Ok(Resources(resources))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        state::{Generation, Marks},
        store::{DataKey, snapshot, source::Source},
        value::Value,
    };
    use serde_json::json;
    use std::io;

    fn seal() -> Arc<dyn Seal> {
        Arc::new(DataKey::from_bytes(&[7; 32]).unwrap())
    }

    fn state(resources: usize, padding: usize) -> State {
        let mut state = State::new("p", "dev", "seed".into());
        for at in 0..resources {
            let generation = Generation {
                id: Some(format!("id-{at}")),
                region: None,
                inputs: Value::from_json(json!({"at": at, "padding": "x".repeat(padding), "list": [{"a": {}}, {}]})),
                outputs: Value::empty(),
                dependencies: Vec::new(),
                generation: 0,
                operation: None,
                uncertain: false,
                marks: Marks::default(),
                origin: None,
            };
            let urn = Urn::new("dev", "p", "t:T", &format!("n{at:05}")).unwrap();
            state.resources.insert(urn, ResourceState { current: Some(generation), ..ResourceState::default() });
        }
        state.outputs.insert("nested".into(), Value::from_json(json!({"a": {"b": 1}, "c": {"d": 2}})));
        state.outputs.insert("secret".into(), Value::from("hunter2").into_secret());
        state
    }

    fn text(state: &State, seal: &Arc<dyn Seal>) -> Vec<u8> {
        let source = Source { program: "p", stack: "dev", path: "state.json".into(), seal };
        snapshot::write(state, None::<&()>, &source).unwrap()
    }

    #[test]
    fn state_of_many_pieces_round_trips() {
        let seal = seal();
        for state in [state(1, 10), state(2, 3 << 20), state(3_000, 1_000)] {
            let text = text(&state, &seal);
            let loaded = load(&text[..], &seal).unwrap();
            assert!(loaded.state == state);
            assert_eq!(loaded.size, text.len() as u64);
        }
    }

    #[test]
    fn damaged_or_unusual_text_is_not_read_in_pieces() {
        let seal = seal();
        let whole = text(&state(3_000, 1_000), &seal);
        for at in [0, 40, 1_000, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(load(&changed[..], &seal).is_none(), "byte {at}");
            assert!(load(&whole[..at], &seal).is_none(), "cut at {at}");
        }
        assert!(load(&text(&State::new("p", "dev", String::new()), &seal)[..], &seal).is_none(), "no resources");
        let one_line = serde_json::to_vec(&State::new("p", "dev", String::new())).unwrap();
        assert!(load(&one_line[..], &seal).is_none());
        assert!(load(io::empty(), &seal).is_none());
    }
}
