use infra_macros::Outputs;

#[derive(Outputs)]
struct SubnetOutputs {
    #[output(regional)]
    id: String,
}

fn main() {}
