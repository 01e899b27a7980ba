//! The engine and infra-aws inside another program: preview, up, outputs and events by API.
//!
//! `cargo run --example embedding` deploys to AWS, with the credentials that the AWS SDK finds. With an endpoint as its
//! argument it deploys to a local cloud, whose access key must be in the environment: `eval "$(stack local env)"`.

use infra_aws::{self as aws, DefaultVpc, Rule, SecurityGroup};
use infra_core::{
    Config, Engine, Result, Stack, Target,
    event::{Event, Events},
    store::FileStore,
};

/// Declares the resources of the stack.
fn firewall(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let network = virginia.lookup(DefaultVpc);
    let web = virginia.add(
        "web",
        SecurityGroup {
            description: "Public access to the web servers".into(),
            ingress: vec![Rule::tcp(config.get_or("port", 443_u16)?).from_anywhere()],
            ..SecurityGroup::in_vpc(network.vpc_id)
        },
    );
    stack.export("security_group", web.id);
    Ok(())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let target = match std::env::args().nth(1) {
        Some(endpoint) => Target { name: "local".into(), endpoint: Some(endpoint), ..Target::aws() },
        None => Target::aws(),
    };
    let (events, mut receiver) = Events::channel();
    let engine =
        Engine::new("firewall", "dev", FileStore::new(".infra/embedding")).target(target).config([("port", "8443")]);

    let printer = tokio::spawn(async move {
        while let Some(event) = receiver.recv().await {
            match event {
                Event::StepStarted { urn, action } => println!("{action} {}", urn.short()),
                Event::StepFinished { urn, elapsed_ms, .. } => println!("done {} in {elapsed_ms} ms", urn.short()),
                Event::StepFailed { diagnostic, .. } => println!("{diagnostic}"),
                _ => {}
            }
        }
    });

    print!("{}", engine.preview(&firewall).events(events.clone()).await?);
    let report = engine.up(&firewall).events(events.clone()).await?;
    for (name, value) in engine.outputs().await? {
        println!("{name} = {value}");
    }
    let destroyed = engine.destroy(&firewall).events(events).await?;
    printer.await?;
    if report.is_success() && destroyed.is_success() { Ok(()) } else { Err("some operations failed".into()) }
}
