//! A local AWS in one process: it implements AWS's wire protocols and runs the declared resources. Instances are processes,
//! load balancers forward requests, and databases are PostgreSQL servers.
//!
//! # Tutorial
//! [`LocalCloud::start`] starts the cloud of a directory. AWS clients, such as the SDKs, the AWS CLI, boto3 and Terraform,
//! connect to its [`endpoint`](LocalCloud::endpoint), with the key of its [`credentials`](LocalCloud::credentials). The
//! function `send` in this example signs a request as they do:
//!
//! ```
//! use infra_local::{LocalCloud, Options};
//! # use infra_local::Credentials;
//! # use hmac::{Hmac, Mac};
//! # use sha2::{Digest, Sha256};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #
//! # async fn send(endpoint: &str, key: &Credentials, service: &str, body: &str) -> std::io::Result<String> {
//! #     let host = endpoint.trim_start_matches("http://");
//! #     let time = chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
//! #     let scope = format!("{}/us-east-1/{service}/aws4_request", &time[..8]);
//! #     let digest = hex::encode(Sha256::digest(body));
//! #     let headers = format!("host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n");
//! #     let names = "host;x-amz-content-sha256;x-amz-date";
//! #     let canonical = hex::encode(Sha256::digest(format!("POST\n/\n\n{headers}\n{names}\n{digest}")));
//! #     let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
//! #     let mac = |key: Vec<u8>, text: &str| {
//! #         let mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
//! #         mac.chain_update(text).finalize().into_bytes().to_vec()
//! #     };
//! #     let signing_key = scope.split('/').fold(format!("AWS4{}", key.secret_access_key).into_bytes(), mac);
//! #     let signature = hex::encode(mac(signing_key, &text));
//! #     let credential = format!("{}/{scope}", key.access_key_id);
//! #     let mut stream = tokio::net::TcpStream::connect(host).await?;
//! #     let request = format!(
//! #         "POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-content-sha256: {digest}\r\nx-amz-date: {time}\r\n\
//! #          authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n\
//! #          content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
//! #         body.len()
//! #     );
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut response = String::new();
//! #     stream.read_to_string(&mut response).await?;
//! #     Ok(response)
//! # }
//! #
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let cloud = LocalCloud::start(Options { time_scale: 30.0, ..Options::new(directory.path()) }).await?;
//! let (endpoint, key) = (cloud.endpoint(), cloud.credentials());
//!
//! let response = send(&endpoint, &key, "ec2", "Action=CreateVpc&CidrBlock=10.0.0.0%2F16").await?;
//! assert!(response.contains("<vpcId>vpc-"), "{response}");
//! let vpcs = cloud.inventory().into_iter().filter(|id| id.starts_with("us-east-1/vpcs/"));
//! assert!(vpcs.count() > 0);
//!
//! // The state is kept: the next start in the same directory continues with it.
//! cloud.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! A program that lets the cloud run services calls [`enable_launcher`] first in its `main`, so that they are confined.
//! [`LocalCloud::inject`] simulates failures: a lost zone, throttling, lost responses. [`daemon`] runs a cloud in a separate
//! process, and [`Usage`] shares it between commands.
//!
//! # Layout
//! No module uses a later one:
//! - `wire`: the EC2, Query, JSON, CBOR and REST-XML protocols; signatures, filters, pages, errors
//! - `model`: the state tree, one module per service, and its changes
//! - `state`: the shared handle on the state, its files `cloud.json` and `cloud.journal`, and subscriptions to changes
//! - `domain`: rules that services and runtime share
//! - `access`: authentication and authorisation: signatures, IAM's policies, web pages
//! - `services`: the control plane, one module per AWS service, one file per resource kind
//! - `runtime`: the data plane: reconcilers that run what the model declares
//! - `server`: the endpoint, the process, its directory and administration

mod access;
mod domain;
mod model;
mod runtime;
mod server;
mod services;
mod state;
#[cfg(test)]
mod testing;
mod wire;

pub use access::Credentials;
pub use model::account::{Account, InvalidAccount};
pub use runtime::confinement::{ConfinementStatus, enable_launcher};
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use runtime::fabric_testing;
pub use runtime::session::{Program, Session};
pub use server::capabilities::{Capabilities, Obstacle};
pub use server::credentials::credentials;
pub use server::daemon;
pub use server::directory::{account, admit_databases, reset};
pub use server::faults::{ActiveFault, Fault, FaultError, Requests};
pub use server::host_roles::HostRole;
pub use server::local_cloud::{LocalCloud, Snapshot};
pub use server::options::{NetworkChoice, Options};
pub use server::permissions::{AuthorisedAction, InvalidPolicy, Policy};
pub use server::reach::{Component, Reach, ReachRequest};
pub use server::start_error::StartError;
pub use server::status::{
    BalancerStatus, DatabaseClusterStatus, DatabaseStatus, GroupStatus, InstanceStatus, LogStreamStatus, NetworkStatus,
    RecordedStatus, RegionStatus, ServiceStatus, Status, TargetGroupStatus,
};
pub use server::usage::{SoleUsage, Usage};
pub use state::recorded_account;
pub use state::schemas::{install_schemas, share_schemas};
