//! Rules for launches of instances.

pub(crate) mod interface_address;
pub(crate) mod launch;
pub(crate) mod launch_interfaces;
pub(crate) mod launch_template;
pub(crate) mod network_interface;
pub(crate) mod security_group;
pub(crate) mod volume;

use base64::Engine as _;

use crate::wire::{ApiError, Outcome};

/// Returns AWS's error for an image that does not exist.
pub(crate) fn unknown_image(id: &str) -> ApiError {
    ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"))
}

/// Returns AWS's error for a security group that does not exist.
pub(crate) fn unknown_security_group(group: &str) -> ApiError {
    ApiError::new("InvalidGroup.NotFound", format!("The security group '{group}' does not exist"))
}

/// AWS's error for an interface that is not there.
pub(crate) fn unknown_network_interface(id: &str) -> ApiError {
    ApiError::new("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{id}' does not exist"))
}

/// Decodes user data and checks its size.
pub(crate) fn check_user_data(encoded: &str) -> Outcome<Vec<u8>> {
    let compact: String = encoded.split_ascii_whitespace().collect();
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
    if decoded.len() > USER_DATA_LIMIT_BYTES {
        return Err(ApiError::invalid("User data is limited to 16384 bytes"));
    }
    Ok(decoded)
}

/// AWS's limit for user data, before base64.
const USER_DATA_LIMIT_BYTES: usize = 16 * 1024;
