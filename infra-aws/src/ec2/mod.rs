//! Elastic Compute Cloud.

pub mod default_vpc;
pub mod image;
pub mod instance;
pub mod key_pair;
pub mod launch_template;
pub mod rule;
pub mod security_group;
pub mod subnets;

use base64::{Engine, engine::general_purpose::STANDARD};

/// A filter of the Describe calls.
fn filter(name: &str, value: &str) -> aws_sdk_ec2::types::Filter {
    aws_sdk_ec2::types::Filter::builder().name(name).values(value).build()
}

/// User data as EC2 takes it.
fn encode(user_data: &str) -> String {
    STANDARD.encode(user_data)
}

/// User data as EC2 gives it.
fn decode(user_data: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(user_data).ok()?).ok()
}
