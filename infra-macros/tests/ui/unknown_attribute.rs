use infra_macros::Resource;

#[derive(Resource)]
#[resource(type = "example:network:Subnet", volatile)]
struct Subnet {
    network: String,
}

#[derive(Resource)]
#[resource(type = "example:network:Route")]
struct Route {
    #[resource(replaces)]
    table: String,
    #[resource(secret, regional)]
    password: String,
}

fn main() {}
