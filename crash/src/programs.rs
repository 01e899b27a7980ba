//! The life that is interrupted: what is declared first, and what it becomes.

use crate::{
    files::{Directory, File},
    kinds::{Key, LateTag, Name, Phased, Tag, Thing, Token, Zone},
};
use infra_core::{Result, Scope, output_format, random::Password};

/// What is declared first.
pub fn before(stack: &Scope) -> Result {
    first(stack, "site")
}

/// What is declared first, when a change to [`after`] is taken back halfway. The directory goes to a third path: the
/// first one is not free before what the change has replaced is deleted, and that waits for the new one.
pub fn taken_back(stack: &Scope) -> Result {
    first(stack, "site again")
}

fn first(stack: &Scope, site: &str) -> Result {
    let password = stack.add("password", Password::of_length(20));
    let zone = stack.lookup(Zone { of: "the world".into() });
    let network = stack.add("network", Thing::<Token>::at(&zone.name));
    let bucket = stack.add("bucket", Thing::<Name>::at("a"));
    let route = stack.add("route", Thing::<Key>::at("a").using([&network.id]));
    stack.add("sign", Thing::<Token>::at(&route.id));
    stack.add("hint", Thing::<Name>::at("a").using([&route.id]));
    let host = stack.add("host", Thing::<Tag>::at("a").using([&network.id]).with_password(&password.value));
    let image = stack.add("image", Thing::<Phased>::at("a").using([&bucket.id]));
    let record = stack.add("record", Thing::<LateTag>::at("a").using([&host.id]));
    let inner = stack.lookup(Zone { of: network.id.clone() });
    stack.add("gateway", Thing::<Token>::at(&inner.name));
    stack.add("going", Thing::<Tag>::at("a").using([&record.id]));
    stack.add("also-going", Thing::<Name>::at("a").using([&host.id]));

    let directory = stack.add("site", Directory::at(site));
    stack.add("index", File::new(&directory.path, "index.html", output_format!("{} of {}", image.id, host.id)));
    stack.add("robots", File::new(&directory.path, "robots.txt", "nobody"));
    stack.export("host", host.id);
    Ok(())
}

/// What it becomes: updates, replacements of either order, deletions, additions.
pub fn after(stack: &Scope) -> Result {
    let password = stack.add("password", Password::of_length(24)); // another one, known to the host
    let zone = stack.lookup(Zone { of: "the world".into() });
    let network = stack.add("network", Thing::<Token>::at(&zone.name).sized(2)); // updated; nothing below it is
    let bucket = stack.add("bucket", Thing::<Name>::at("b")); // a new one first, then its user moves, then the old goes
    let route = stack.add("route", Thing::<Key>::at("b").using([&network.id])); // the old one has to go first,
    stack.add("sign", Thing::<Token>::at(&route.id)); // and this one before it
    stack.add("hint", Thing::<Name>::at("a").using([&route.id])); // its user moves over
    let host = stack.add("host", Thing::<Tag>::at("b").using([&network.id]).with_password(&password.value));
    let image = stack.add("image", Thing::<Phased>::at("a").using([&bucket.id])); // its user moves over
    let copy = stack.add("copy", Thing::<Phased>::at(&image.id)); // new
    stack.add("record", Thing::<LateTag>::at("b").using([&host.id]));
    let inner = stack.lookup(Zone { of: network.id.clone() });
    stack.add("gateway", Thing::<Token>::at(&inner.name).sized(3));
    stack.add("coming", Thing::<Tag>::at("a").using([&copy.id]));
    stack.add("also-coming", Thing::<Key>::at("a").using([&host.id]));

    let directory = stack.add("site", Directory::at("pages")); // replaced, and all files with it
    stack.add("index", File::new(&directory.path, "index.html", output_format!("{} of {}", image.id, host.id)));
    stack.add("secret", File { mode: 0o600, ..File::new(&directory.path, "secret.txt", password.value) });
    stack.export("host", host.id);
    stack.export("copy", copy.id);
    Ok(())
}
