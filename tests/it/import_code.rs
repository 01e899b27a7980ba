//! The code that imports print, for a resource of each kind: it compiles, because this file includes it.

use crate::{databases::major, every_kind::program};
#[allow(clippy::wildcard_imports, reason = "programs import the kinds in this way")]
use infra_aws::{self as aws, *};
use infra_core::{Config, Engine, Result, Stack, Target, engine::ImportRequest, store::MemoryStore, target::Readiness};
use infra_local::{LocalCloud, Options};
use std::fs;
use tempfile::TempDir;
use tests::stable;

/// Path of the printed code. The test replaces the file if INFRA_UPDATE_PRINTED is set.
const PRINTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/printed_code.rs");

/// Declares the imported resources by their printed code, of which only the compilation is tested.
#[expect(dead_code, reason = "the ids in the code are placeholders")]
#[rustfmt::skip]
#[allow(clippy::default_trait_access, clippy::too_many_lines, reason = "the code is printed")]
fn printed(stack: &Stack, _: &Config) -> Result {
    include!("printed_code.rs");
    Ok(())
}

/// Replaces the parts that differ between runs: certificates, public keys and random names.
fn without_random_parts(text: &str) -> String {
    let text = replaced(text, "-----BEGIN CERTIFICATE-----", "-----END");
    let text = replaced(&text, "ssh-ed25519 ", " ");
    let text = replaced(&text, ":certificate/", "\"");
    replaced(&text, "\"SecurityGroup-", "\"")
}

/// Replaces each text between `begin` and the next `end`.
fn replaced(text: &str, begin: &str, end: &str) -> String {
    let mut parts = text.split(begin);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(end).unwrap();
        out.extend([begin, "…", end, rest]);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn printed_code_of_each_kind_compiles() {
    let directory = TempDir::new().unwrap();
    let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let target = Target { readiness: Readiness::ControlPlane, ..tests::target(&cloud) };
    let engine = |program: &str| Engine::new(program, "dev", MemoryStore::new()).target(target.clone());
    let owner = engine("owner").config([("everything", "true".to_owned()), ("postgres", major())]);
    let every_kind = |stack: &Stack, config: &Config| -> Result { program::every_kind(stack, config) };
    let report = owner.up(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);

    let kinds = owner.resource_kinds(&every_kind);
    let is_importable = |token: &str| kinds.iter().any(|kind| kind.token == token && kind.importable);
    let state = owner.state().await.unwrap().unwrap();
    let existing = state.generations().filter(|(urn, _)| is_importable(urn.kind()));
    let requests: Vec<ImportRequest> = existing
        .filter_map(|(urn, generation)| {
            Some(ImportRequest {
                kind: urn.kind().to_owned(),
                name: format!("imported/{}", urn.name()),
                id: generation.id.clone()?,
                region: generation.region.clone(),
            })
        })
        .collect();
    let unimported: Vec<&str> = kinds
        .iter()
        .map(|kind| kind.token.as_str())
        .filter(|token| !requests.iter().any(|request| request.kind == *token))
        .collect();
    assert_eq!(
        unimported,
        ["aws:ec2:BakedImage", "aws:elb:TargetGroupAttachment", "random:Password"],
        "kinds without an import"
    );
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let adopted = engine("importer").import(&region, &requests).await.unwrap();
    let declarations: Vec<&str> = adopted.iter().map(|adopted| adopted.declaration.as_str()).collect();
    let code = format!("{{\n{}\n}}\n", without_random_parts(&stable(&declarations.join("\n"))));
    let code = ["postgres", "aurora-postgresql"]
        .iter()
        .fold(code, |code, engine| code.replace(&format!("\"{engine}{}\"", major()), &format!("\"{engine}15\"")));
    if std::env::var_os("INFRA_UPDATE_PRINTED").is_some() {
        fs::write(PRINTED, &code).unwrap();
    }
    let expected = fs::read_to_string(PRINTED).unwrap();
    let differs = code.lines().zip(expected.lines()).find(|(printed, expected)| printed != expected);
    assert!(code == expected, "INFRA_UPDATE_PRINTED=1 updates the file; first difference: {differs:?}");
    cloud.shutdown().await;
}
