//! The programs of a scenario: the initial one and its changed version.

use crate::{
    files::{Directory, File},
    kinds::{Key, LateTag, Name, Phased, Simulated, Tag, Token, Zone},
};
use infra_core::{Result, Scope, output_format, random::Password};

/// Declares the initial resources.
pub fn initial(stack: &Scope) -> Result {
    first(stack, "site")
}

/// Declares the initial resources after an interrupted change to [`changed`]. The directory has a third path: the first
/// path is occupied until the replaced directory is deleted, and that deletion waits for the replacement.
pub fn reverted(stack: &Scope) -> Result {
    first(stack, "site again")
}

fn first(stack: &Scope, site: &str) -> Result {
    let password = stack.add("password", Password::of_length(20));
    let zone = stack.lookup(Zone { of: "the cloud".into() });
    let network = stack.add("network", Simulated::<Token>::at(&zone.name));
    let bucket = stack.add("bucket", Simulated::<Name>::at("a"));
    let route = stack.add("route", Simulated::<Key>::at("a").using([&network.id]));
    stack.add("sign", Simulated::<Token>::at(&route.id));
    stack.add("hint", Simulated::<Name>::at("a").using([&route.id]));
    let host = stack.add("host", Simulated::<Tag>::at("a").using([&network.id]).with_password(&password.value));
    let image = stack.add("image", Simulated::<Phased>::at("a").using([&bucket.id]));
    let record = stack.add("record", Simulated::<LateTag>::at("a").using([&host.id]));
    let inner = stack.lookup(Zone { of: network.id.clone() });
    stack.add("gateway", Simulated::<Token>::at(&inner.name));
    stack.add("going", Simulated::<Tag>::at("a").using([&record.id]));
    stack.add("also-going", Simulated::<Name>::at("a").using([&host.id]));

    let directory = stack.add("site", Directory::at(site));
    stack.add("index", File::new(&directory.path, "index.html", output_format!("{} of {}", image.id, host.id)));
    stack.add("robots", File::new(&directory.path, "robots.txt", "Disallow: /"));
    stack.export("host", host.id);
    Ok(())
}

/// Declares the changed resources, which need updates, replacements in both orders, deletions and creates.
pub fn changed(stack: &Scope) -> Result {
    let password = stack.add("password", Password::of_length(24)); // replaced, and the host is updated with it
    let zone = stack.lookup(Zone { of: "the cloud".into() });
    let network = stack.add("network", Simulated::<Token>::at(&zone.name).sized(2)); // updated; its dependents are not
    let bucket = stack.add("bucket", Simulated::<Name>::at("b")); // replaced: create, update `image`, delete
    let route = stack.add("route", Simulated::<Key>::at("b").using([&network.id])); // replaced: delete before create
    stack.add("sign", Simulated::<Token>::at(&route.id)); // replaced: deleted before `route` is
    stack.add("hint", Simulated::<Name>::at("a").using([&route.id])); // updated with the new id
    let host = stack.add("host", Simulated::<Tag>::at("b").using([&network.id]).with_password(&password.value));
    let image = stack.add("image", Simulated::<Phased>::at("a").using([&bucket.id])); // updated with the new id
    let copy = stack.add("copy", Simulated::<Phased>::at(&image.id)); // created
    stack.add("record", Simulated::<LateTag>::at("b").using([&host.id]));
    let inner = stack.lookup(Zone { of: network.id.clone() });
    stack.add("gateway", Simulated::<Token>::at(&inner.name).sized(3));
    stack.add("coming", Simulated::<Tag>::at("a").using([&copy.id]));
    stack.add("also-coming", Simulated::<Key>::at("a").using([&host.id]));

    let directory = stack.add("site", Directory::at("pages")); // replaced with all of its files
    stack.add("index", File::new(&directory.path, "index.html", output_format!("{} of {}", image.id, host.id)));
    stack.add("secret", File { mode: 0o600, ..File::new(&directory.path, "secret.txt", password.value) });
    stack.export("host", host.id);
    stack.export("copy", copy.id);
    Ok(())
}
