use infra_macros::{Lookup, Resource};

#[derive(Resource)]
struct Subnet {
    cidr: String,
}

#[derive(Lookup)]
#[lookup(type = "image")]
struct Image;

#[derive(Resource)]
#[resource(type = "example:network:Zone")]
enum Zone {
    A,
}

fn main() {}
