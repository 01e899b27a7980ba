//! Reads a written snapshot again, one resource at a time, so that a large state is not in memory twice.

use crate::{
    state::{ResourceState, State},
    urn::Urn,
};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// Checks that a text contains this state.
pub(super) fn check(text: &[u8], state: &State) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Same(state).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Same<'a>(&'a State);

struct SameResources<'a>(&'a BTreeMap<Urn, ResourceState>);

impl<'de> DeserializeSeed<'de> for Same<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Same<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let expected = self.0;
        let mut found = State::new("", "", String::new());
        let mut has_resources = false;
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "version" => found.version = fields.next_value()?,
                "program" => found.program = fields.next_value()?,
                "stack" => found.stack = fields.next_value()?,
                "seed" => found.seed = fields.next_value()?,
                "serial" => found.serial = fields.next_value()?,
                "open" => found.open = fields.next_value()?,
                "outputs" => found.outputs = fields.next_value()?,
                "resources" => {
                    fields.next_value_seed(SameResources(&expected.resources))?;
                    has_resources = true;
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        let same = has_resources
            && (found.version, found.serial) == (expected.version, expected.serial)
            && (found.program, found.stack, found.seed)
                == (expected.program.clone(), expected.stack.clone(), expected.seed.clone())
            && found.open == expected.open
            && found.outputs == expected.outputs;
        if same { Ok(()) } else { Err(A::Error::custom("it does not parse as the state that was written")) }
    }
}

impl<'de> DeserializeSeed<'de> for SameResources<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SameResources<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("resources")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut resources: A) -> Result<(), A::Error> {
        for (urn, expected) in self.0 {
            if resources
                .next_entry::<Urn, ResourceState>()?
                .as_ref()
                .is_none_or(|found| (&found.0, &found.1) != (urn, expected))
            {
                return Err(A::Error::custom(format!("`{urn}` does not parse as it was written")));
            }
        }
        match resources.next_key::<Urn>()? {
            None => Ok(()),
            Some(urn) => Err(A::Error::custom(format!("`{urn}` is not part of the written state"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        state::{Generation, Marks},
        value::Value,
    };
    use serde_json::json;

    fn state() -> State {
        let mut state = State::new("p", "dev", "seed".into());
        for (name, weight) in [("a", 0.1 + 0.2), ("b", 1e-7), ("c", 50.0)] {
            let generation = Generation {
                id: Some(name.into()),
                region: None,
                inputs: Value::from_json(json!({"name": name, "weight": weight, "$ref": [1, null, {"x": u64::MAX}]})),
                outputs: Value::empty(),
                dependencies: Vec::new(),
                generation: 0,
                operation: None,
                uncertain: false,
                marks: Marks::default(),
                origin: None,
            };
            let urn = Urn::new("dev", "p", "t:T", name).unwrap();
            state.resources.insert(urn, ResourceState { current: Some(generation), ..ResourceState::default() });
        }
        state.outputs.insert("weight".into(), Value::from_json(json!(2.0_f64.sqrt())));
        state
    }

    #[test]
    fn only_the_text_of_the_same_state_passes_the_check() {
        let text = serde_json::to_string_pretty(&state()).unwrap();
        check(text.as_bytes(), &state()).unwrap();
        for (from, to) in [
            ("\"b\"", "\"d\""),
            ("1e-7", "2e-7"),
            ("\"serial\": 0", "\"serial\": 1"),
            ("1.4142135623730951", "1.4142135623730950"),
            ("18446744073709551615", "18446744073709551614"),
            ("::c\"", "::d\""),
            ("\"seed\": \"seed\"", "\"seed\": \"weed\""),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(check(changed.as_bytes(), &state()).is_err(), "{from}");
        }
        for urn in state().resources.keys() {
            let mut fewer = state();
            fewer.resources.remove(urn);
            check(text.as_bytes(), &fewer).unwrap_err();
            check(serde_json::to_string(&fewer).unwrap().as_bytes(), &state()).unwrap_err();
        }
        check(&text.as_bytes()[..text.len() - 1], &state()).unwrap_err();
    }
}
